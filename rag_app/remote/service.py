"""The application behind another process's address: what commands use while the app is running."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from llama_index.core.base.llms.types import ChatMessage

from rag_app.errors import ApplicationError
from rag_app.ingestion.report import IngestReport, OnProgress, Progress
from rag_app.remote import wire
from rag_app.results import (
    AskEvent,
    BackupReport,
    CollectionInfo,
    DocumentContent,
    DocumentInfo,
    IndexInfo,
    PassageBatch,
    PassageContext,
    SearchResult,
)
from rag_app.service import DEFAULT_OPTIONS, QueryOptions
from retrieval.index.collections import checked_name

_PATIENCE = httpx.Timeout(30.0, read=600.0, write=600.0)


class RemoteService:
    """`rag_app.service.Service` over HTTP.

    Args:
        address: of the application, such as http://127.0.0.1:7860.
        token: what it left in its storage folder for local callers.
        transport: stands in for the network where given.
    """

    def __init__(
        self, address: str, token: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.address = address
        self._client = httpx.AsyncClient(
            base_url=f"{address}/api/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_PATIENCE,
            transport=transport,
            trust_env=False,
        )

    async def collections(self) -> list[CollectionInfo]:
        """See `Service.collections`."""
        found: list[CollectionInfo] = await self._get("collections", list[CollectionInfo])
        return found

    async def drop_collection(self, name: str) -> None:
        """See `Service.drop_collection`."""
        await self._request("DELETE", _path(name))

    async def rebuild_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """See `Service.rebuild_collection`."""
        return await self._run(_path(name, "rebuild"), {}, on_progress)

    async def repair_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """See `Service.repair_collection`."""
        return await self._run(_path(name, "repair"), {}, on_progress)

    async def backup(
        self, collections: Sequence[str] = ()
    ) -> AsyncGenerator[bytes | BackupReport, None]:
        """See `Service.backup`."""
        body = {"collections": list(collections)}
        report = None
        async with aclosing(self._stream("backup", body)) as events:
            async for event in events:
                report = event
                yield event
        if not isinstance(report, BackupReport):
            raise self._lost("the connection ended before the backup was whole")

    async def restore(
        self,
        backup: AsyncIterator[bytes],
        collections: Sequence[str] = (),
        replace: bool = False,
    ) -> BackupReport:
        """See `Service.restore`."""
        asked = {"collection": list(collections), "replace": replace}
        response = await self._request("POST", "restore", params=asked, content=backup)
        report: BackupReport = wire.adapter(BackupReport).validate_json(response.content)
        return report

    async def indexes(self, collection: str) -> list[IndexInfo]:
        """See `Service.indexes`."""
        found: list[IndexInfo] = await self._get(_path(collection, "indexes"), list[IndexInfo])
        return found

    async def build_index(
        self,
        collection: str,
        encoder: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """See `Service.build_index`."""
        return await self._run(_path(collection, "indexes"), {"encoder": encoder}, on_progress)

    async def use_index(self, collection: str, index: str) -> None:
        """See `Service.use_index`."""
        await self._request("PUT", _path(collection, "active"), json={"index": index})

    async def drop_index(self, collection: str, index: str) -> None:
        """See `Service.drop_index`."""
        await self._request("DELETE", _path(collection, "indexes"), params={"index": index})

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """See `Service.documents`."""
        path = _path(collection, "documents")
        found: list[DocumentInfo] = await self._get(path, list[DocumentInfo])
        return found

    async def delete_document(self, collection: str, source: str) -> bool:
        """See `Service.delete_document`."""
        path = _path(collection, "documents")
        response = await self._request("DELETE", path, params={"source": source})
        return bool(response.json()["deleted"])

    async def ingest(
        self,
        collection: str,
        paths: Sequence[Path],
        on_progress: OnProgress | None = None,
        encoder: str | None = None,
        sync: bool = False,
    ) -> IngestReport:
        """See `Service.ingest`; the other process reads the files, so it must be able to."""
        absolute = [_sendable(path.resolve()) for path in paths]
        body = {"paths": absolute, "encoder": encoder, "sync": sync}
        return await self._run(_path(collection, "ingest"), body, on_progress)

    async def search(
        self, collection: str, question: str, options: QueryOptions = DEFAULT_OPTIONS
    ) -> SearchResult:
        """See `Service.search`."""
        body = {"question": question, "options": options.model_dump(mode="json")}
        response = await self._request("POST", _path(collection, "search"), json=body)
        found: SearchResult = wire.parse(response.content)
        return found

    async def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[ChatMessage] = (),
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> AsyncGenerator[AskEvent, None]:
        """See `Service.ask`."""
        body = {
            "question": question,
            "history": [{"role": m.role.value, "content": m.content or ""} for m in history],
            "options": options.model_dump(mode="json"),
        }
        async with aclosing(self._stream(_path(collection, "ask"), body)) as events:
            async for event in events:
                yield event

    async def passages(
        self, collection: str, encoder: str | None = None
    ) -> AsyncGenerator[PassageBatch, None]:
        """See `Service.passages`."""
        body = {"encoder": encoder}
        async with aclosing(self._stream(_path(collection, "passages"), body)) as batches:
            async for batch in batches:
                yield batch

    async def document(
        self, collection: str, source: str, page: int | None = None
    ) -> DocumentContent:
        """See `Service.document`."""
        wanted: dict[str, str | int] = {"source": source}
        if page is not None:
            wanted["page"] = page
        path = _path(collection, "documents", "content")
        response = await self._request("GET", path, params=wanted)
        found: DocumentContent = wire.adapter(DocumentContent).validate_json(response.content)
        return found

    async def context(self, collection: str, passage_id: str) -> PassageContext:
        """See `Service.context`."""
        path = _path(collection, "passages", passage_id)
        found: PassageContext = await self._get(path, PassageContext)
        return found

    async def close(self) -> None:
        """See `Service.close`."""
        await self._client.aclose()

    async def _get(self, path: str, kind: Hashable) -> Any:
        response = await self._request("GET", path)
        return wire.adapter(kind).validate_json(response.content)

    async def _run(
        self, path: str, body: dict[str, Any], on_progress: Callable[[Progress], None] | None
    ) -> IngestReport:
        async with aclosing(self._stream(path, body)) as events:
            async for event in events:
                if isinstance(event, IngestReport):
                    return event
                if on_progress:
                    on_progress(event)
        raise self._lost("the connection ended before the report came")

    async def _stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        try:
            async with self._client.stream("POST", path, json=body) as response:
                if response.is_error:
                    await response.aread()
                    raise self._refused(response)
                async with aclosing(wire.unframed(response.aiter_bytes())) as events:
                    async for event in events:
                        yield event
        except httpx.TransportError as error:
            raise self._lost(str(error)) from error

    async def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **more)
        except httpx.TransportError as error:
            raise self._lost(str(error)) from error
        if response.is_error:
            raise self._refused(response)
        return response

    def _refused(self, response: httpx.Response) -> ApplicationError:
        try:
            detail = response.json().get("message", "")
        except (ValueError, AttributeError):
            detail = ""
        return wire.RemoteError(detail or f"{response.request.url} answered {response.status_code}")

    def _lost(self, cause: str) -> ApplicationError:
        return ApplicationError(
            f"the running application at {self.address} does not answer",
            cause=cause,
            hint="Stop it or start it again; then repeat the command",
        )


def _sendable(path: Path) -> str:
    try:
        return str(path).encode("utf-8").decode("utf-8")
    except UnicodeEncodeError:
        raise ApplicationError(
            f"{str(path)!r} cannot be named to the running application",
            cause="its name is not UTF-8",
            hint="Rename it, name the folder it lies in, or stop the application first",
        ) from None


def _path(collection: str, *parts: str) -> str:
    names = (checked_name(collection), *parts)
    return "collections/" + "/".join(quote(name, safe="") for name in names)
