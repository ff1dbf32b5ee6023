"""The commands that make, list, change and remove users."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from rag_app.accounts.keys import Keys
from rag_app.accounts.users import Users
from rag_app.commands.program import app
from rag_app.errors import SettingsError

PASSWORD = "a lamp at dusk"


@pytest.fixture
def run(settings, monkeypatch):
    """Runs a command with a password on stdin; gives its JSON, or what was wrong."""
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", str(settings.storage.path))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # which the command sets for good

    def run(*arguments: str, password: str = PASSWORD) -> Any:
        result = CliRunner().invoke(app, [*arguments, "--json"], input=f"{password}\n")
        return json.loads(result.stdout) if result.exit_code == 0 else result.exception

    return run


def test_users_are_made_listed_changed_and_removed(run, settings):
    users = Users(settings.storage.path)
    assert "has to be an admin" in str(run("users", "add", "alice"))
    assert run("users", "add", "boss", "--role", "admin")["role"] == "admin"
    assert run("users", "add", "alice")["role"] == "reader"
    assert users.verify("alice", PASSWORD)
    run("users", "role", "alice", "writer")
    run("users", "password", "alice", password="another lamp")
    assert users.verify("alice", "another lamp")
    assert users.verify("alice", PASSWORD) is None
    run("collections", "create", "notes")
    run("users", "give", "notes", "alice")
    listed = run("users", "list")["users"]
    assert [(one["name"], one["role"], one["private"]) for one in listed] == [
        ("alice", "writer", ["notes"]),
        ("boss", "admin", []),
    ]
    assert "lamp" not in str(listed)
    assert "argon2" not in str(listed)
    run("users", "share", "notes")
    assert users.owners() == {}
    run("users", "remove", "alice")
    assert [one["name"] for one in run("users", "list")["users"]] == ["boss"]
    assert "there is no user" in str(run("users", "password", "alice"))
    assert "characters" in str(run("users", "password", "boss", password="short"))


def test_collections_that_there_are_alone_are_given_away(run, settings):
    users = Users(settings.storage.path)
    run("users", "add", "boss", "--role", "admin")
    for wrong in (("give", "nosuch", "boss"), ("share", "nosuch")):
        assert "collection 'nosuch' does not exist" in str(run("users", *wrong))
    assert "'../up' is not allowed" in str(run("users", "share", "../up"))
    assert users.owners() == {}
    users.claim("halfway", users.named("boss").id)
    assert "'halfway' does not exist" in str(run("users", "give", "halfway", "boss"))
    assert run("users", "share", "halfway")["owner"] is None, "it frees what is left over"
    assert users.owners() == {}


def test_a_key_belongs_to_a_user_where_there_are_any(run, settings):
    keys = Keys(settings.storage.path)
    run("keys", "create", "before")
    run("users", "add", "boss", "--role", "admin")
    assert isinstance(run("keys", "create", "later"), SettingsError)
    made = run("keys", "create", "later", "--user", "boss")
    assert made["owner"] == Users(settings.storage.path).named("boss").id
    assert {key.name: bool(key.owner) for key in keys.all()} == {"before": False, "later": True}
