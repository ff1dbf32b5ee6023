"""The port of the web application: free, or taken by the application itself."""

import http.client
import json
import socket
from typing import Final

from rag_app.collections.ownership import Owner
from rag_app.probes.base import Problem
from rag_app.settings import Server

_ALL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared only
_SECONDS: Final = 1.0


def port(server: Server, owner: Owner | None, *, shared: bool) -> str:
    """Whether the application could listen, or does.

    Args:
        server: where it would.
        owner: of the storage folder.
        shared: whether the store has no owner, so that any application there may be this one.

    Raises:
        Problem: something else listens there, or the address is none of this machine.
    """
    if owner and owner.address:
        return f"the application is running at {owner.address}"
    where = f"{server.host}:{server.port}"
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((server.host, server.port))
        except OSError as error:
            if shared and _is_ours(server):
                return f"the application is running at {where}"
            raise Problem(
                f"{where} cannot be used",
                cause=(error.strerror or str(error)).lower(),
                hint="Use another --port, or stop what listens there",
            ) from error
    return f"{where} is free"


def _is_ours(server: Server) -> bool:
    asked = http.client.HTTPConnection(
        _ALL.get(server.host, server.host), server.port, timeout=_SECONDS
    )
    try:
        asked.request("GET", "/healthz")
        return bool(json.loads(asked.getresponse().read(100)) == {"status": "alive"})
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        asked.close()
