"""What this machine gives: the storage folder, its owner, the port, and a Ray cluster."""

import errno
import http.client
import json
import math
import os
import re
import shutil
import socket
import stat
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from rag_app.collections.leftovers import leftovers
from rag_app.collections.ownership import HeldByAnother, Owner, Ownership
from rag_app.errors import ApplicationError
from rag_app.probes.base import Problem
from rag_app.settings import Ray, Server
from retrieval.index.collections import Collections
from retrieval.index.edge_engine import require_room

_SAMPLE: Final = b"x" * 4096


def storage(folder: Path) -> str:
    """Write a file without a name, which is gone at once, and look at what is around it.

    Raises:
        Problem: it cannot be written for another reason than a full disk, of which `disk` tells.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_sample(folder)
        about = folder.stat()
    except OSError as error:
        raise Problem(
            f"{folder} cannot be written by {_user()}",
            cause=f"{(error.strerror or str(error)).lower()}{_owner(folder)}",
            hint="Give it to that user (chown), or set RAG_APP_STORAGE__PATH",
        ) from error
    others = ""
    if about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX:
        others = "; EVERYBODY may write it (chmod o-w)"
    elif about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        others = "; others may look into it (chmod go-rwx)"
    mode = f"{stat.S_IMODE(about.st_mode):04o}"
    return f"{folder.absolute()}, written as {_user()}, mode {mode}{others}"


def disk(folder: Path, reserve: int, collections: Collections | None = None) -> str:
    """Whether documents can still be ingested, and what killed work has left behind.

    Args:
        reserve: bytes of its disk that must stay free.

    Raises:
        DiskFull: fewer are; what is stored can still be searched.
    """
    require_room(folder, reserve)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    room = f"{shutil.disk_usage(there).free / 1e9:.1f} GB free of the disk of {folder}"
    size, orphans = leftovers(folder, collections) if collections else (0, [])
    left = f"; {size / 1e6:.1f} MB left by killed work go at the next start" if size else ""
    lost = f"; no collection has the originals in {', '.join(orphans)}" if orphans else ""
    return room + left + lost


def _write_sample(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            scratch.write(_SAMPLE)
            scratch.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"


def _owner(folder: Path) -> str:
    """Whose it is, or the folder that it should lie in."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        about = there.stat()
    except OSError:
        return ""
    return f"; {there} is of user {about.st_uid}, mode {stat.S_IMODE(about.st_mode):04o}"


_UNKNOWN = Owner(0, "another process")


def custodian(folder: Path) -> Owner | None:
    """The process that owns the folder; None where none does, or it cannot be told."""
    try:
        Ownership(folder).release()
    except HeldByAnother as held:
        return held.owner or _UNKNOWN
    except ApplicationError:  # the probe of the folder says why
        return None
    return None


_ALL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared only
_SECONDS: Final = 1.0


def port(server: Server, owner: Owner | None, *, shared: bool) -> str:
    """Whether the application could listen, or does.

    Args:
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
            if shared and _is_this_application(server):
                return f"the application is running at {where}"
            raise Problem(
                f"{where} cannot be used",
                cause=(error.strerror or str(error)).lower(),
                hint="Use another --port, or stop what listens there",
            ) from error
    return f"{where} is free"


def _is_this_application(server: Server) -> bool:
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


_HOST_PORT: Final = re.compile(r"([^/]+):(\d{1,5})")
_NOTE: Final = Path("ray", "ray_current_cluster")
"""Where a Ray that was started on this machine leaves its address, in the folder for scratch."""


def ray(chosen: Ray, seconds: float) -> str:
    """The version that is installed, and whether the cluster accepts connections.

    Importing Ray or joining would take longer than all other probes together.

    Raises:
        Problem: it is not installed, no cluster is found, or nothing listens.
    """
    try:
        installed = version("ray")
    except PackageNotFoundError:
        raise Problem(
            "ingest.engine is ray, and Ray is not installed", hint="pip install 'rag-app[ray]'"
        ) from None
    wanted = f"{math.ceil(chosen.parsers + chosen.actors * chosen.cpus_per_actor)} CPUs wanted"
    if not chosen.address:
        return f"{installed}, started by each ingest; {wanted}, {os.cpu_count()} here"
    where = _found() if chosen.address == "auto" else chosen.address
    _connect(where, seconds)
    return f"{installed}, cluster at {where} accepts connections; {wanted}"


def _found() -> str:
    note = Path(gettempdir()) / _NOTE
    where = os.environ.get("RAY_ADDRESS") or (note.read_text("utf-8") if note.is_file() else "")
    if not where.strip():
        raise Problem(
            "ray.address is auto, and no Ray runs on this machine",
            hint="`ray start --head`, or leave RAG_APP_RAY__ADDRESS empty",
        )
    return where.strip()


def _connect(where: str, seconds: float) -> None:
    match = _HOST_PORT.fullmatch(where)
    if not match:
        raise Problem(f"ray.address is {where!r}", hint="Give it as HOST:PORT, auto or empty")
    try:
        socket.create_connection((match[1], int(match[2])), seconds).close()
    except (OSError, OverflowError) as error:
        raise Problem(
            f"the Ray cluster at {where} cannot be reached",
            cause=str(error) or type(error).__name__,
            hint="Check with `ray status` that it runs, or leave RAG_APP_RAY__ADDRESS empty",
        ) from error
