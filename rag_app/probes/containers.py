"""In a container, localhost is the container: the most common mistake, told where it is made."""

import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

MARKS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files that Docker and Podman put into every container."""
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_PORTS: Final = {"http": 80, "https": 443}


def hint(address: str) -> str:
    """The way out where `address` is this container and nothing listens there; else empty."""
    if not any(mark.exists() for mark in MARKS) or not _refused(address):
        return ""
    return (
        "In a container, localhost is the container itself: name the server by its service's name, "
        "or as host.docker.internal if it runs on the machine around"
    )


def _refused(address: str) -> bool:
    """Whether it is of this machine, which refuses connections; such an answer comes at once."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return False
    if host not in _LOCAL or not port:
        return False
    try:
        socket.create_connection((host, port), timeout=0.2).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
