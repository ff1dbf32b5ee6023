"""What something was made with, by name, and a short name for all of it."""

import hashlib
import json
from collections.abc import Mapping


def fingerprint(identity: Mapping[str, object]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of an identity in canonical JSON."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
