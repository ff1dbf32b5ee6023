"""Conversations over HTTP: everybody reaches their own, and a local command all of them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from rag_app.remote.operations import CHAT_OPERATIONS
from rag_app.remote.wire import RemoteError
from rag_app.web.access import Access, Throttle
from tests.rag_app.accounts.chats.talk import a_turn
from tests.rag_app.served import TOKEN, Served, serving

PASSWORD = "a long password"


@pytest.fixture
def access() -> Access:
    return Access(TOKEN, "admin", PASSWORD, throttle=Throttle(free=1000))


@pytest.fixture
async def served(application, access) -> AsyncIterator[Served]:
    async with serving(application, access) as served:
        yield served


@pytest.fixture
async def kept(application, access) -> dict[str, str]:
    """A conversation each of two browsers, by the cookie's value."""
    kept = {}
    for name in ("a" * 32, "b" * 32):
        turn = a_turn(f"What does {name[0]} ask?")
        identity = await application.chats.begin(name, "", turn)
        await application.chats.finish(name, identity, turn)
        kept[access.new_visitor(name)] = identity
    return kept


async def ask(served: Served, access: Access, cookie: str, method: str, path: str, **sent: Any):
    headers = {"Cookie": f"{access.cookie}={cookie}"} if cookie else {}
    async with httpx.AsyncClient(base_url=f"{served.address}/api", trust_env=False) as client:
        return await client.request(method, path, headers=headers | sent.pop("headers", {}), **sent)


def tries(identity: str) -> list[tuple[str, str, Any]]:
    one = f"/conversations/{identity}"
    return [
        ("GET", one, None),
        ("PUT", f"{one}/title", {"title": "taken"}),
        ("PUT", f"{one}/turns/1/rating", {"rating": "down"}),
        ("DELETE", one, None),
    ]


async def test_two_people_cannot_reach_each_other(served, access, kept, application):
    (anne, annes), (bob, bobs) = kept.items()
    for cookie, mine, others in ((anne, annes, bobs), (bob, bobs, annes)):
        listed = (await ask(served, access, cookie, "GET", "/conversations")).json()
        assert [one["id"] for one in listed] == [mine]
        found = await ask(served, access, cookie, "GET", "/conversations?text=ask")
        assert [one["id"] for one in found.json()] == [mine]
        assert (await ask(served, access, cookie, "GET", "/feedback")).json() == []
        for method, path, body in tries(others)[:3]:
            refused = await ask(served, access, cookie, method, path, json=body)
            assert refused.status_code == 400, path
            assert "there is no conversation" in refused.json()["error"]["message"]
        gone = await ask(served, access, cookie, "DELETE", f"/conversations/{others}")
        assert gone.json() == {"deleted": False}
    for name, identity in (("a" * 32, annes), ("b" * 32, bobs)):
        whole = await application.chats.conversation(name, identity)
        assert (whole.title, whole.turns[0].rating) == (whole.turns[0].question, "")


async def test_a_person_renames_rates_and_deletes_their_own(served, access, kept):
    cookie, identity = next(iter(kept.items()))
    one = f"/conversations/{identity}"
    statuses = [
        (await ask(served, access, cookie, method, path, json=body)).json()
        for method, path, body in tries(identity)[1:3]
    ]
    assert statuses == [{"renamed": True}, {"rated": True}]
    whole = (await ask(served, access, cookie, "GET", one)).json()
    assert (whole["title"], whole["turns"][0]["rating"]) == ("taken", "down")
    assert whole["turns"][0]["citations"][0]["passage_id"] == "p1"
    [rated] = (await ask(served, access, cookie, "GET", "/feedback")).json()
    assert rated["rating"] == "down"
    assert (await ask(served, access, cookie, "DELETE", one)).json() == {"deleted": True}


@pytest.mark.parametrize(
    "body", [{"rating": "best"}, {"rating": "up", "comment": "x" * 5000}, {"owner": "*"}]
)
async def test_what_is_no_rating_is_refused(served, access, kept, body):
    cookie, identity = next(iter(kept.items()))
    path = f"/conversations/{identity}/turns/1/rating"
    assert (await ask(served, access, cookie, "PUT", path, json=body)).status_code == 422
    for number in ("0", "99999999999999999999", "x"):
        path = f"/conversations/{identity}/turns/{number}/rating"
        assert (await ask(served, access, cookie, "PUT", path, json={})).status_code == 422


async def test_nobody_names_an_owner(served, access, kept):
    cookie, mine = next(iter(kept.items()))
    listed = await ask(served, access, cookie, "GET", "/conversations?owner=*")
    assert [one["id"] for one in listed.json()] == [mine]


async def test_forged_cookies_and_no_cookie_open_nothing(served, access, kept):
    cookie, identity = next(iter(kept.items()))
    name, issued, signature = cookie.split(".")
    for forged in ("", f"*.{issued}.{signature}", f"{'b' * 32}.{issued}.{signature}", "*", name):
        for method, path, body in [("GET", "/conversations", None), *tries(identity)]:
            refused = await ask(served, access, forged, method, path, json=body)
            assert refused.status_code == 401, (forged, path)


async def test_who_sends_the_password_shares_a_place_of_their_own(served, access, kept):
    bearer = {"Authorization": f"Bearer {PASSWORD}"}
    assert (await ask(served, access, "", "GET", "/conversations", headers=bearer)).json() == []


async def test_a_browser_without_the_key_may_look_but_has_no_conversations(application):
    access = Access(TOKEN)
    async with serving(application, access) as served:
        assert (await ask(served, access, "", "GET", "/collections")).status_code == 200
        assert (await ask(served, access, "", "GET", "/conversations")).status_code == 401


async def test_a_local_command_reaches_all_through_the_application(served, kept):
    chats = served.remote().chats
    assert {one.id for one in await chats.conversations("*")} == set(kept.values())
    for identity in kept.values():
        await chats.rename_conversation("*", identity, "Herons")
        await chats.rate_answer("*", identity, 1, "up", "good")
        await chats.choose_model("*", identity, "qwen3:8b")
        conversation = await chats.conversation("*", identity)
        assert (conversation.title, conversation.turns[0].comment) == ("Herons", "good")
        assert conversation.model == "qwen3:8b"
        assert conversation.turns[0].citations == a_turn().citations
    assert len(await chats.rated_answers("*")) == 2
    assert [await chats.delete_conversation("*", one) for one in kept.values()] == [True, True]
    assert await chats.conversations("*") == []
    for odd in ("../collections", "x/y", "\ud800", "?"):
        with pytest.raises(RemoteError):
            await chats.conversation("*", odd)


def test_each_operation_is_of_an_owner():
    for operation in CHAT_OPERATIONS:
        assert next(iter(operation.signature.parameters)) == "owner"
        sent = {each.name for part in operation.parts.values() for each in part}
        assert sent == set(operation.signature.parameters) - {"owner"}
