"""`users`: the people who log in, what they may do, and whose a collection is."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson, with_service
from rag_app.settings import Settings

if TYPE_CHECKING:
    from rag_app.accounts.users import Users


RoleName = Literal["admin", "writer", "reader"]
Name = Annotated[str, typer.Argument(help="For the log-in.")]
Role = Annotated[
    RoleName,
    typer.Option(
        help="reader: search and ask; writer: documents and collections of one's own, too;"
        " admin: everything."
    ),
]
Collection = Annotated[str, typer.Argument(help="As `collections list` shows it.")]
_users = typer.Typer(
    no_args_is_help=True,
    help="Make, list, change and remove users. Where there are any, everybody has to log in.",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_users, name="users")


@_users.command("add")
def add_user(
    context: typer.Context, name: Name, role: Role = "reader", as_json: AsJson = False
) -> None:
    """Make a user; the first has to be an admin. The password is asked for, or read from stdin."""
    user = _store(context).add(name, role, _password())
    output.show(output.plain(user), as_json, lambda _: output.text(f"{user.name} is a {user.role}"))


@_users.command("list")
def list_users(context: typer.Context, as_json: AsJson = False) -> None:
    """List the users, with the collections that are private to each."""
    users = _store(context)
    owners = users.owners()
    found = [
        output.plain(user)
        | {"private": sorted(name for name, owner in owners.items() if owner == user.id)}
        for user in users.all()
    ]
    output.show({"users": found}, as_json, output.users)


@_users.command("role")
def change_role(
    context: typer.Context,
    name: Name,
    role: Annotated[RoleName, typer.Argument(help="reader, writer or admin.")],
    as_json: AsJson = False,
) -> None:
    """Give a user another role, at once."""
    _store(context).set_role(name, role)
    changed = {"name": name, "role": role}
    output.show(changed, as_json, lambda _: output.text(f"{name} is a {role}"))


@_users.command("password")
def change_password(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Give a user another password, asked for or read from stdin; all their sessions end."""
    users = _store(context)
    users.named(name)  # before a password is asked for
    users.set_password(name, _password())
    output.show(
        {"name": name}, as_json, lambda _: output.text(f"{name} has to log in with the new one")
    )


@_users.command("remove")
def remove_user(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Remove a user: sessions and keys end at once. Their private collections stay, for admins."""
    _store(context).remove(name)
    output.show({"removed": name}, as_json, lambda _: output.text(f"{name} is removed"))


@_users.command("share")
def share_collection(
    context: typer.Context, collection: Collection, as_json: AsJson = False
) -> None:
    """Let all users see a collection, and all writers change its documents."""
    _give(context, collection, None, as_json)


@_users.command("give")
def give_collection(
    context: typer.Context, collection: Collection, name: Name, as_json: AsJson = False
) -> None:
    """Make a collection private to a user; admins see it, too."""
    _give(context, collection, name, as_json)


def _give(context: typer.Context, collection: str, name: str | None, as_json: bool) -> None:
    users = _store(context)
    owner = users.named(name).id if name else ""
    if owner or collection not in users.owners():  # a claim that is left over is freed
        _require_collection(context, collection)
    users.set_owner(collection, owner)
    sentence = f"{collection} is {f'private to {name}' if name else 'shared'}"
    changed = {"collection": collection, "owner": name}
    output.show(changed, as_json, lambda _: output.text(sentence))


def _require_collection(context: typer.Context, name: str) -> None:
    from retrieval.index.collections import checked_name
    from retrieval.index.errors import UnknownCollection

    checked_name(name)
    found = with_service(context.obj, lambda service: service.collections())
    names = [collection.name for collection in found]
    if name not in names:
        raise UnknownCollection(name, names)


def _store(context: typer.Context) -> "Users":
    from rag_app.accounts.users import Users

    settings: Settings = context.obj
    return Users(settings.storage.path)


def _password() -> str:
    """From whoever sits there, or the first line of what is piped in: never from an argument, which
    others see in the list of processes.
    """
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")
