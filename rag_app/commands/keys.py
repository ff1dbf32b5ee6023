"""`keys`: what other programs show instead of the password."""

from typing import Annotated, Literal

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson
from rag_app.errors import ApplicationError, SettingsError
from rag_app.settings import Settings

_keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_keys, name="keys")


@_keys.command("create")
def create_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    rights: Annotated[
        Literal["read", "write"],
        typer.Option(help="read: search and ask; write: change documents, too."),
    ] = "read",
    collection: Annotated[
        list[str] | None, typer.Option("--collection", "-c", help="Reaches this one alone; repeat.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Whose it is; it never does more than that user may.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once. Where there are users, it belongs to one."""
    from rag_app.accounts.keys import Keys
    from rag_app.accounts.users import Users

    settings: Settings = context.obj
    users = Users(settings.storage.path)
    if user is None and users.exist():
        raise SettingsError("a key belongs to a user", hint="Say whose it is with --user NAME")
    owner = users.named(user).id if user else ""
    key, text = Keys(settings.storage.path).create(name, rights, collection or [], owner)
    shown = {**output.plain(key), "user": user or "", "key": text}
    output.show(shown, as_json, lambda _: output.text(text))


@_keys.command("list")
def list_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """List the keys there are, without what is secret of them."""
    from rag_app.accounts.keys import Keys
    from rag_app.accounts.users import Users

    settings: Settings = context.obj
    names = {user.id: user.name for user in Users(settings.storage.path).all()}
    found = [
        output.plain(key) | {"user": names.get(key.owner, "")}
        for key in Keys(settings.storage.path).all()
    ]
    output.show({"keys": found}, as_json, output.keys)


@_keys.command("revoke")
def revoke_key(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Make a key worthless, at once."""
    from rag_app.accounts.keys import Keys

    settings: Settings = context.obj
    if not Keys(settings.storage.path).revoke(key):
        raise ApplicationError(
            f"there is no key {key!r}", hint="`rag-app keys list` shows their ids"
        )
    output.show({"revoked": key}, as_json, lambda _: output.text(f"{key} is revoked"))
