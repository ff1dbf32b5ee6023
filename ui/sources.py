"""What a page ingests besides files that are sent: a folder of this machine, or an address."""

from functools import partial
from pathlib import Path

from data.names import is_address
from rag_app.accounts.rights import Right
from rag_app.errors import ApplicationError
from rag_app.service import Service
from rag_app.settings import Settings
from rag_app.web.gate import LOOPBACK
from ui.ingestions import Work


def right_for(given: str) -> Right:
    """What a person needs who adds it: files of this machine are an admin's."""
    return "write" if is_address(given) else "administer"


def work_for(given: str, service: Service, settings: Settings, collection: str) -> Work:
    """What ingests what a person has typed.

    Raises:
        ApplicationError: it is neither an address nor a folder that the page may ingest from.
    """
    if is_address(given):
        return partial(service.add_address, collection, given)
    folder = _folder(given, settings)
    return partial(service.ingest, collection, [folder])


def _folder(given: str, settings: Settings) -> Path:
    path = Path(given).expanduser()
    if not given or "\0" in given or not path.is_absolute():
        raise ApplicationError(
            "this is neither an address nor a folder",
            hint="Give one such as https://example.org/report.pdf or /home/me/reports",
        )
    path, allowed = path.resolve(), settings.ingest.folders
    is_local = settings.server.host in LOOPBACK and not settings.server.password
    if not (is_local and not allowed) and not any(
        path.is_relative_to(folder.expanduser().resolve()) for folder in allowed
    ):
        raise ApplicationError(
            f"{given[:200]} is not among the folders that the page may ingest from",
            hint="ingest.folders (RAG_APP_INGEST__FOLDERS) names them; `rag-app ingest` takes any",
        )
    if not path.is_dir():
        raise ApplicationError(f"there is no folder {given[:200]}", hint="Check the spelling")
    return path
