"""No dependency phones home; apart, so that a command can say so before it imports any."""

import logging
import os


def silence() -> None:
    """Tell every dependency, before it is imported, not to phone home."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    os.environ["DO_NOT_TRACK"] = "1"
    logging.getLogger("httpx").setLevel(logging.WARNING)
