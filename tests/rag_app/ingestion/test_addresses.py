"""Addresses are looked up once, checked, and asked at what was checked."""

import ipaddress
import socket

import httpx
import pytest

from rag_app.errors import ApplicationError
from rag_app.ingestion.addresses import CheckedTransport, look_up, not_link_local, parts_of, public


@pytest.mark.parametrize(
    ("number", "is_public", "may_be_a_model"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.0.1", False, True),
        ("100.64.0.1", False, True),
        ("0.0.0.0", False, True),
        ("224.0.0.1", False, True),
        ("169.254.169.254", False, False),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("fe80::1", False, False),
        ("::ffff:127.0.0.1", False, True),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::7f00:1", False, True),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:7f00:1::", False, True),
        ("2002:a9fe:a9fe::1", False, False),
        ("2002:5db8:d822::1", True, True),
        ("64:ff9b::5db8:d822", True, True),
        ("64:ff9b:1::a01:203", False, True),
        ("64:ff9b:1:ffff::5db8:d822", False, True),
        ("64:ff9b:1::a9fe:a9fe", False, False),
        ("fec0::7", False, True),
        ("feff::7", False, True),
        ("::a01:203", False, True),
        ("::5db8:d822", False, True),
        ("::a9fe:a9fe", False, False),
        ("::ffff:0:a01:203", False, True),
        ("::ffff:0:a9fe:a9fe", False, False),
        ("192.88.99.7", False, True),
        ("2002:c058:6307::1", False, True),
        ("192.0.0.9", False, True),
        ("3fff:1::1", False, True),
        ("5f00::1", False, True),
        ("ff0e::1", False, True),
    ],
)
def test_who_may_be_asked(number: str, is_public: bool, may_be_a_model: bool) -> None:
    parsed = ipaddress.ip_address(number)
    assert (not public("host", parsed)) == is_public
    assert (not not_link_local("host", parsed)) == may_be_a_model


@pytest.mark.parametrize(
    "address",
    [
        "", "x", "http://", "http:///x", "file:///etc/passwd", "ftp://host/", "http://[::1",
        "http://host:99999/", "http://host:0/", "http://a:b@host/", "http://@host/",
        "http://host/\r\nx", "http://ho st/", "//host/x", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ApplicationError):
        parts_of(address, hint="")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://xn--a/x.txt", "not allowed"),
        ("https://xn--/", "Malformed"),
        ("http://400.1.1.1/", "Invalid IPv4"),
        ("http://\u2603/", "Invalid IDNA"),
        ("http://host/\udcff", "surrogates"),
        ("http://host:70000/", "out of range"),
        ("ftp://host/", "does not begin"),
    ],
)
def test_what_is_no_address_is_named_with_the_reason_and_a_hint(address: str, why: str) -> None:
    with pytest.raises(ApplicationError, match=why) as raised:
        parts_of(address, hint="Type another")
    assert repr(address) in str(raised.value)
    assert str(raised.value).endswith("Type another")
    assert str(raised.value).encode()  # can be shown


def test_a_log_in_is_not_repeated() -> None:
    with pytest.raises(ApplicationError, match="no log-in") as raised:
        parts_of("http://me:hidden@host:70000/", hint="")
    assert "hidden" not in str(raised.value)


async def test_a_host_is_looked_up_once_and_asked_at_what_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["93.184.216.34", "169.254.169.254"])

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, text="yes")

    transport = CheckedTransport(public, httpx.MockTransport(answer))
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.get("https://rebinding.example:8443/x?y=1")
        assert (response.text, str(response.url)) == ("yes", "https://rebinding.example:8443/x?y=1")
        [sent] = asked
        assert str(sent.url) == "https://93.184.216.34:8443/x?y=1"
        assert sent.headers["host"] == "rebinding.example:8443"
        assert sent.extensions["sni_hostname"] == "rebinding.example"
        with pytest.raises(ApplicationError, match="private network"):
            await client.get("https://rebinding.example:8443/x")
    assert len(asked) == 1


async def test_a_host_one_of_whose_numbers_is_refused_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = ["93.184.216.34", "10.0.0.1"]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 80)) for number in numbers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ApplicationError):
        await look_up("two.example", 80, public)
    assert await look_up("two.example", 80, not_link_local) == "93.184.216.34"


async def test_a_host_that_is_not_known_is_named() -> None:
    with pytest.raises(ApplicationError, match=r"nowhere\.invalid is not known"):
        await look_up("nowhere.invalid", 80, public)
