"""What of the service is offered over HTTP, as one table.

Routes under /api (`rag_app.web.api`), their OpenAPI page and the client (`rag_app.remote.service`)
are made from these rows and from the signatures of `rag_app.service.Service`: arguments that the
path does not name go into the query of GET and DELETE, and into the JSON body of the others.
"""

import inspect
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_origin, get_type_hints

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from pydantic import BaseModel, ConfigDict, create_model

from rag_app.accounts.chats.chats import Chats
from rag_app.results import Answer, BackupReport, IngestReport
from rag_app.service import Service

_LOCAL = {"self", "on_progress", "owner"}
"""Parameters that are not sent: whose conversations are meant, the server knows by the caller."""


class Body(BaseModel):
    """The body of a request; nothing that is unknown is overlooked."""

    model_config = ConfigDict(extra="forbid")


class Turn(Body):
    """What was said before: a message of a conversation."""

    role: Literal["user", "assistant"]
    content: str

    def message(self) -> ChatMessage:
        """As the service takes it."""
        return ChatMessage(role=MessageRole(self.role), content=self.content)


@dataclass(frozen=True)
class Operation:
    """A method of the service over HTTP.

    Attributes:
        name: of the method.
        method: of HTTP.
        path: below /api, with the names of arguments in braces.
        done: what the answer calls that it was done, for methods that return no more than that.
        upload: the argument that is sent as the raw body; the others then go into the query.
        last: what a stream ends with; one that ends otherwise is not whole. `stream=false` in the
            query asks for that alone, but where what comes before it is the matter itself.
        of: whose method it is.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    done: str = ""
    upload: str = ""
    last: type | None = None
    of: type = Service

    @cached_property
    def signature(self) -> inspect.Signature:
        """That of the method, without `self`, with its types."""
        method = getattr(self.of, self.name)
        hints = get_type_hints(method, include_extras=True)
        parameters = inspect.signature(method).parameters.values()
        return inspect.Signature(
            [
                each.replace(annotation=hints[each.name])
                for each in parameters
                if each.name != "self"
            ],
            return_annotation=hints["return"],
        )

    @property
    def help(self) -> str:
        """The method's own description."""
        return inspect.getdoc(getattr(self.of, self.name)) or ""

    @property
    def reports_progress(self) -> bool:
        """Whether progress comes before the result."""
        return "on_progress" in self.signature.parameters

    @property
    def streams(self) -> bool:
        """Whether results come one after the other."""
        return get_origin(self.signature.return_annotation) is AsyncGenerator

    @property
    def whole(self) -> type | None:
        """What may be asked for alone instead of a stream."""
        if self.reports_progress:
            return IngestReport
        return self.last if self.last is Answer else None

    @cached_property
    def parts(self) -> Mapping[str, list[inspect.Parameter]]:
        """The parameters by where they go: ``path``, ``query``, ``body``."""
        parts: dict[str, list[inspect.Parameter]] = {"path": [], "query": [], "body": []}
        for each in self.signature.parameters.values():
            if each.name in _LOCAL or each.name == self.upload:
                continue
            queried = self.method in ("GET", "DELETE") or self.upload
            inside = f"{{{each.name}}}" in self.path
            parts["path" if inside else "query" if queried else "body"].append(each)
        return parts

    @cached_property
    def body(self) -> type[Body] | None:
        """The form of its JSON body."""
        fields: dict[str, Any] = {
            each.name: (
                list[Turn] if each.name == "history" else each.annotation,
                ... if each.default is each.empty else each.default,
            )
            for each in self.parts["body"]
        }
        title = "".join(map(str.capitalize, self.name.split("_")))
        return create_model(f"{title}Body", __base__=Body, **fields) if fields else None


_ONE = "/collections/{collection}"

OPERATIONS = (
    Operation("collections", "GET", "/collections"),
    Operation("documents", "GET", _ONE + "/documents"),
    Operation("document", "GET", _ONE + "/documents/content"),
    Operation("indexes", "GET", _ONE + "/indexes"),
    Operation("context", "GET", _ONE + "/passages/{passage_id}"),
    Operation("page_picture", "POST", _ONE + "/passages/{passage_id}/page"),
    Operation("passages", "POST", _ONE + "/passages"),
    Operation("search", "POST", _ONE + "/search"),
    Operation("ask", "POST", _ONE + "/ask", last=Answer),
    Operation("encoders", "GET", "/encoders"),
    Operation("embed", "POST", "/embeddings"),
    Operation("rerank", "POST", "/rerank"),
    Operation("create_collection", "POST", "/collections", done="created"),
    Operation("rename_collection", "PUT", "/collections/{name}/name", done="renamed"),
    Operation("drop_collection", "DELETE", "/collections/{name}", done="deleted"),
    Operation("delete_document", "DELETE", _ONE + "/documents", done="deleted"),
    Operation("add_document", "POST", _ONE + "/documents", upload="content"),
    Operation("add_address", "POST", _ONE + "/addresses"),
    Operation("ingest", "POST", _ONE + "/ingest"),
    Operation("reingest", "POST", _ONE + "/reingest"),
    Operation("rebuild_collection", "POST", "/collections/{name}/rebuild"),
    Operation("repair_collection", "POST", "/collections/{name}/repair"),
    Operation("build_index", "POST", _ONE + "/indexes"),
    Operation("use_index", "PUT", _ONE + "/active", done="used"),
    Operation("drop_index", "DELETE", _ONE + "/indexes", done="deleted"),
    Operation("backup", "POST", "/backup", last=BackupReport),
    Operation("restore", "POST", "/restore", upload="backup"),
)

_CHAT = "/conversations/{conversation_id}"

CHAT_OPERATIONS = (
    Operation("conversations", "GET", "/conversations", of=Chats),
    Operation("conversation", "GET", _CHAT, of=Chats),
    Operation(
        "rename_conversation", "PUT", f"{_CHAT}/title", done="renamed", of=Chats
    ),
    Operation("choose_model", "PUT", f"{_CHAT}/model", done="chosen", of=Chats),
    Operation("delete_conversation", "DELETE", _CHAT, done="deleted", of=Chats),
    Operation(
        "rate_answer", "PUT", f"{_CHAT}/turns/{{number}}/rating", done="rated",
        of=Chats,
    ),
    Operation("rated_answers", "GET", "/feedback", of=Chats),
    Operation("votes", "GET", "/votes", of=Chats),
)  # fmt: skip
"""What of the conversations is offered, each to its owner."""
