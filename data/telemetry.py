"""No dependency phones home; apart, so that a command can say so before it imports any."""

import logging
import os


def silence() -> None:
    """Tell every dependency, before it is imported, not to phone home."""
    silence_onnxruntime()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    os.environ["DO_NOT_TRACK"] = "1"
    logging.getLogger("httpx").setLevel(logging.WARNING)


def silence_onnxruntime() -> None:
    """The part for whoever uses a class of ours in a program of their own.

    Published builds since 1.31 send events to Microsoft and keep a device's id in the home folder:
    https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
