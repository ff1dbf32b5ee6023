"""`chats`: conversations that people have had with the page, and what they thought of answers."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rag_app.accounts.chats import EVERYONE
from rag_app.commands import output
from rag_app.commands.common import AsJson, with_service
from rag_app.errors import ApplicationError, SettingsError

Id = Annotated[str, typer.Argument(metavar="ID", help="As `chats list` shows it.")]
Out = Annotated[Path | None, typer.Option(help="File to write; stdout otherwise.")]
_chats = typer.Typer(no_args_is_help=True, help="List, show, delete and export conversations.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_chats, name="chats")


@_chats.command("list")
def list_chats(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="Only those that hold it somewhere.")] = "",
    as_json: AsJson = False,
) -> None:
    """List conversations, the last asked first."""
    found = with_service(context.obj, lambda service: service.chats.conversations(EVERYONE, text))
    output.show({"conversations": [output.plain(one) for one in found]}, as_json, output.chats)


@_chats.command("show")
def show_chat(context: typer.Context, conversation: Id, as_json: AsJson = False) -> None:
    """Show a conversation with the passages that its answers cite."""
    found = _conversation(context, conversation)
    output.show(output.plain(found), as_json, lambda _: output.text(_markdown(found)))


@_chats.command("delete")
def delete_chats(
    context: typer.Context,
    conversations: Annotated[list[str], typer.Argument(metavar="ID...")],
    as_json: AsJson = False,
) -> None:
    """Delete conversations."""

    async def delete(service: Any) -> dict[str, list[str]]:
        chats = service.chats
        done = {one: await chats.delete_conversation(EVERYONE, one) for one in conversations}
        return {
            "deleted": [one for one, gone in done.items() if gone],
            "missing": [one for one, gone in done.items() if not gone],
        }

    result = with_service(context.obj, delete)
    output.show(result, as_json, output.deleted)
    if result["missing"]:
        raise typer.Exit(3 if result["deleted"] else 1)


@_chats.command("export")
def export_chats(
    context: typer.Context,
    conversation: Annotated[
        str, typer.Argument(metavar="[ID]", help="As `chats list` shows it.")
    ] = "",
    form: Annotated[
        Literal["markdown", "json"], typer.Option("--as", help="markdown or json.")
    ] = "markdown",
    out: Out = None,
    feedback: Annotated[
        Path | None,
        typer.Option(
            help="Write the answers that were found good, as questions for adapt and eval."
        ),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(
            help="Write a folder in BEIR's form of what people voted for between systems: "
            "`rag-app eval retrieval beir:FOLDER` measures on it."
        ),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", "-c", help="Feedback about this one only; votes about this one."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a conversation to a file, or what people thought of answers."""
    if [bool(conversation), bool(feedback), bool(votes)].count(True) != 1:
        raise SettingsError("give the ID of a conversation, --feedback FILE or --votes FOLDER")
    if feedback:
        _export_feedback(context, feedback, collection, as_json)
        return
    if votes:
        _export_votes(context, votes, collection, as_json)
        return
    found = _conversation(context, conversation)
    whole = output.plain(found)
    if out is None:
        output.show(whole, as_json or form == "json", lambda _: output.text(_markdown(found)))
        return
    _write(out, output.indented(whole) if form == "json" else _markdown(found))
    output.show({"file": str(out), "turns": len(found.turns)}, as_json, output.written)


def _export_feedback(
    context: typer.Context, path: Path, collection: str | None, as_json: bool
) -> None:
    import orjson

    from rag_app.accounts.chats.exporting import questions

    rated = with_service(context.obj, lambda service: service.chats.rated_answers(EVERYONE))
    chosen = [turn for turn in rated if collection in (None, turn.collection)]
    lines = [orjson.dumps(record).decode() for record in questions(chosen)]
    if not lines:
        raise ApplicationError(
            "nobody has found an answer good yet",
            cause="there is nothing to write",
            hint="Rate answers with the thumbs below them",
        )
    _write(path, "\n".join(lines))
    output.show({"file": str(path), "questions": len(lines)}, as_json, output.written)


def _export_votes(
    context: typer.Context, folder: Path, collection: str | None, as_json: bool
) -> None:
    from rag_app.accounts.chats import evaluation_set

    name = collection or context.obj.collection

    async def write(service: Any) -> evaluation_set.Written:
        votes = await service.chats.votes(EVERYONE, name)
        return await evaluation_set.write(folder, votes, service.passages(name))

    done = with_service(context.obj, write)
    output.show({"folder": str(folder), **output.plain(done)}, as_json, output.evaluation_set)


def _conversation(context: typer.Context, name: str) -> Any:
    return with_service(context.obj, lambda service: service.chats.conversation(EVERYONE, name))


def _markdown(conversation: Any) -> str:
    from rag_app.accounts.chats.exporting import markdown

    return markdown(conversation.title, conversation.turns)


def _write(path: Path, text: str) -> None:
    from data.files import write_text

    write_text(path, text.rstrip("\n") + "\n")
