import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection

from rag_app.web.access import Access, Throttle, stored_secret

SECRET = b"s" * 32


def connection(host: str = "10.0.0.7", **headers: str) -> HTTPConnection:
    sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": sent, "client": (host, 1)})


def cookie(access: Access, value: str) -> HTTPConnection:
    return connection(Cookie=f"{access.cookie}={value}")


def test_a_browser_that_has_shown_the_key_is_known_after_a_restart() -> None:
    first, later = Access("token", secret=SECRET), Access("another-token", secret=SECRET)
    assert first.knows_key(later.key)
    value = first.new_visitor()
    assert len(later.visitor(cookie(later, value))) == 32
    assert later.may_change(cookie(later, value))


def test_a_cookie_cannot_be_made_up() -> None:
    access = Access(secret=SECRET)
    value = access.new_visitor()
    other = ("0" if value[0] != "0" else "1") + value[1:]
    for spoilt in (value[:-1], other, "", value + "0", value.replace(".", ""), "a.1.b"):
        assert not access.may_change(cookie(access, spoilt))


def test_a_cookie_ends_with_its_month_its_password_and_its_secret(monkeypatch) -> None:
    access = Access(user="admin", password="the-password", secret=SECRET)
    value = access.new_visitor()
    for other in (
        Access(user="admin", password="another-one", secret=SECRET),
        Access(user="admin", password="the-password", secret=b"t" * 32),
    ):
        assert not other.person(connection(Cookie=f"{other.cookie}={value}")).may("read")
    assert access.person(cookie(access, value)).may("read")
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert not access.person(cookie(access, value)).may("read")


def test_with_a_password_no_key_opens_anything() -> None:
    access = Access(user="admin", password="the-password", secret=SECRET)
    assert access.key == ""
    assert not access.knows_key("")
    assert not access.knows_key(Access(secret=SECRET).key)


def test_wrong_passwords_are_logged_without_themselves(caplog) -> None:
    access = Access(user="admin", password="the-password")
    with caplog.at_level(logging.WARNING):
        assert not access.log_in(connection(), "admin", "a-guess")
        assert not access.person(connection(Authorization="Bearer another-guess")).may("read")
    assert caplog.text.count("wrong password from 10.0.0.7") == 2
    assert "guess" not in caplog.text
    assert access.log_in(connection(), "admin", "the-password")


def test_many_wrong_passwords_close_the_door_for_a_while_to_that_address_alone() -> None:
    now = [0.0]
    throttle = Throttle(free=3, longest=8, clock=lambda: now[0])
    access = Access(user="admin", password="the-password", throttle=throttle)
    for _ in range(3):
        assert not access.log_in(connection(), "admin", "a-guess")
    assert access.wait(connection()) == 1
    assert not access.log_in(connection(), "admin", "the-password"), "right, but too soon"
    assert access.log_in(connection("10.0.0.8"), "admin", "the-password")
    now[0] = 1.0
    assert not access.log_in(connection(), "admin", "a-guess")
    assert access.wait(connection()) == 2
    now[0] = 3.0
    assert access.log_in(connection(), "admin", "the-password")
    assert access.wait(connection()) == 0


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::7", "2001:db8:1:2:ffff::8", True),
        ("2001:db8:1:2::7", "2001:db8:1:3::7", False),
        ("::ffff:10.0.0.7", "10.0.0.7", True),
        ("::ffff:10.0.0.7", "::ffff:10.0.0.8", False),
        ("10.0.0.7", "10.0.0.8", False),
    ],
)
def test_a_network_of_ipv6_is_one_address(first: str, second: str, same: bool) -> None:
    access = Access(user="admin", password="the-password", throttle=Throttle(free=1))
    access.log_in(connection(first), "admin", "a-guess")
    assert (access.wait(connection(second)) > 0) == same


def test_the_wait_grows_to_its_limit_and_no_further() -> None:
    throttle = Throttle(free=0, longest=60, clock=lambda: 0.0)
    for _ in range(5000):
        throttle.blame("a")
    assert throttle.wait("a") == 60


def test_all_who_start_at_once_have_the_same_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(stored_secret, [tmp_path / "storage"] * 8))
    assert len(found) == 1


def test_the_secret_is_kept_and_belongs_to_its_user(tmp_path: Path) -> None:
    secret = stored_secret(tmp_path / "storage")
    assert len(secret) == 32
    path = tmp_path / "storage" / "browser.key"
    path.chmod(0o644)
    assert stored_secret(tmp_path / "storage") == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        stored_secret(tmp_path / "storage")
