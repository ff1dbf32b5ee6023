"""The log-in page and log-out: what they send, and how a person meets them in a browser."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from rag_app.accounts.users import Users
from rag_app.web.access import Access, Throttle
from tests.ui.browser import NARROW, WIDE, Browser, require_chromium
from tests.ui.running import RunningApp
from tests.ui.test_accessibility import judged
from ui.account import account
from ui.log_in import log_in_routes

PASSWORD = "a lamp at dusk"
RIGHT = {"username": "anna", "password": PASSWORD}
WRONG = {"username": "anna", "password": "a guess"}


@pytest.fixture
def users(tmp_path: Path) -> Users:
    users = Users(tmp_path, PasswordHasher(1, 8, 1))
    users.add("anna", "admin", PASSWORD)
    return users


@pytest.fixture
async def client(users: Users) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(log_in_routes(Access(users=users, throttle=Throttle(free=3))))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rag.example")


async def test_the_cookie_is_for_this_site_and_no_script(client: httpx.AsyncClient) -> None:
    async with client:
        sent = (await client.post("/login", data=RIGHT)).headers["set-cookie"]
        assert "HttpOnly" in sent
        assert "SameSite=lax" in sent
        assert "Secure" not in sent, "a browser would not send it back over http"
        origin = {"Origin": "https://rag.example"}
        sent = (await client.post("/login", data=RIGHT, headers=origin)).headers["set-cookie"]
        assert "Secure" in sent


async def test_log_out_ends_the_session_and_not_the_cookie_alone(
    client: httpx.AsyncClient, users: Users
) -> None:
    async with client:
        await client.post("/login", data=RIGHT)
        (token,) = client.cookies.values()
        assert users.of_session(token) == users.named("anna")
        assert (await client.get("/login")).headers["location"] == "/"
        left = await client.post("/logout")
        assert left.headers["location"] == "/login"
        assert not client.cookies
        assert users.of_session(token) is None


async def test_another_log_in_ends_the_session_that_the_browser_had(
    client: httpx.AsyncClient, users: Users
) -> None:
    async with client:
        await client.post("/login", data=RIGHT)
        (first,) = client.cookies.values()
        await client.post("/login", data=WRONG)
        assert users.of_session(first), "a wrong password ends nothing"
        await client.post("/login", data=RIGHT)
        (second,) = client.cookies.values()
        assert users.of_session(first) is None
        assert users.of_session(second)


async def test_the_page_says_what_is_wrong_and_keeps_the_name(client: httpx.AsyncClient) -> None:
    async with client:
        fresh = (await client.get("/login")).text
        assert "autofocus" in fresh
        assert "aria-invalid=true" not in fresh
        hostile = {"username": '"><script>alert(1)</script>', "password": "a guess"}
        answer = await client.post("/login", data=hostile)
        assert answer.status_code == 401
        assert "<script>alert" not in answer.text
        answer = await client.post("/login", data=WRONG)
        assert "User or password is not right." in answer.text
        assert 'value="anna"' in answer.text
        assert "a guess" not in answer.text
        await client.post("/login", data=WRONG)
        answer = await client.post("/login", data=RIGHT)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        for odd in (b"", b"\xff\xfe=%ff", b"username=anna"):
            assert (await client.post("/login", content=odd)).status_code < 500


async def test_a_password_of_any_letters_is_as_long_as_it_may_be(
    client: httpx.AsyncClient, users: Users
) -> None:
    longest = "\N{OLD ITALIC LETTER A}" * 1000
    users.add("boris", "reader", longest)
    async with client:
        answer = await client.post("/login", data={"username": "boris", "password": longest})
        assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("user", "password", "says"),
    [
        ("anna", "ä" * 1001, "The password has more than 1,000 characters."),
        ("ä" * 1001, PASSWORD, "The user has more than 1,000 characters."),
        ("anna", "x" * 100_000, "User and password have at most 1,000 characters each."),
    ],
)
async def test_the_page_says_what_is_too_long(
    client: httpx.AsyncClient, user: str, password: str, says: str
) -> None:
    async with client:
        answer = await client.post("/login", data={"username": user, "password": password})
    assert answer.status_code == 400
    assert says in answer.text
    assert user not in answer.text or len(user) < 1000


def test_names_are_other_peoples_words() -> None:
    assert "<b>" not in account("<b>", "reader")


@pytest.mark.browser
@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (NARROW, True)])
def test_a_person_logs_in_and_out(
    closed: RunningApp, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    from selenium.webdriver.common.keys import Keys

    page = Browser(tmp_path / "profile", size, dark=dark)
    try:
        page.driver.get("about:blank")
        page.driver.get_log("performance")  # the browser's own start page
        page.driver.get(closed.address)
        assert page.driver.current_url == f"{closed.address}/login"
        assert page.run("return document.activeElement.name") == "username"
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(f"log-in-{size[0]}")
        page.run((resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
        assert judged(page, "log-in") == []
        page.resize(size)
        page.driver.switch_to.active_element.send_keys("anna", Keys.TAB, "a guess", Keys.ENTER)
        alert = page.until(lambda: page.text("[role=alert]"))
        assert alert == "User or password is not right."
        assert page.run("return document.activeElement.name") == "password"
        page.screenshot(f"log-in-wrong-{size[0]}")
        page.driver.switch_to.active_element.send_keys(PASSWORD, Keys.ENTER)
        page.one("#box textarea")
        if size == NARROW:
            page.click(".drawer-button[data-drawer=library]")
        page.until(lambda: page.text("#account span") == "anna")
        page.screenshot(f"account-{size[0]}")
        if size == WIDE:
            page.new_collection("diary")
            page.until(lambda: "Private to anna" in page.text("#documents"))
            page.click("#documents [data-act=share]")
            page.driver.switch_to.alert.accept()
            page.until(lambda: "Shared with all users" in page.text("#documents"))
            assert Users(closed.storage).owners() == {}
            page.screenshot("shared")
        page.click("#account button")
        page.until(lambda: page.driver.current_url == f"{closed.address}/login")
        page.driver.get(closed.address)
        assert page.driver.current_url == f"{closed.address}/login"
        elsewhere = [one for one in page.requested() if not one.startswith(closed.address)]
        assert not [one for one in elsewhere if one.startswith("http")]
    finally:
        page.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """An application that got its first user while it was running."""
    require_chromium()
    running = RunningApp(tmp_path_factory.mktemp("storage"), ["serve", "--port", "0"])
    Users(running.storage).add("anna", "admin", PASSWORD)
    yield running
    running.stop()
