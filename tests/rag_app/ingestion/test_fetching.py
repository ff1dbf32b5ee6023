"""Documents from a server that really answers on loopback."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data.limits import Limits
from rag_app.application import Application
from rag_app.errors import ApplicationError
from rag_app.ingestion.fetching import Fetcher

PAGES = {
    "/guide": ("text/html; charset=utf-8", b"<h1>Gate</h1><p>The gate is open.</p>"),
    "/notes.md": ("text/plain", b"The kettle is green."),
    "/": ("text/html", b"<p>Start.</p>"),
    "/program": ("application/x-msdownload", b"MZ"),
    "/untold": ("", b"x"),
    "/part.txt": ("text/plain", b"The gate"),
    "/large.txt": ("text/plain", b"x" * 5000),
}
MOVED = {
    "/moved": "/guide",
    "/round": "/round",
    "/inside": "http://169.254.169.254/latest/meta-data/",
    "/file": "file:///etc/passwd",
    "/elsewhere": "http://localhost:9/x.txt",
    "/malformed": "http://xn--a/x.txt",
    "/high": "http://127.0.0.1:99999/",
    "/higher": f"http://127.0.0.1:{10**30}/",
    "/cookie": "/guide",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if where := MOVED.get(self.path):
                self.send_response(302)
                self.send_header("Location", where)
                if self.path == "/cookie":
                    self.send_header("Set-Cookie", 'a="\xff"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            kind, body = PAGES.get(path, ("text/plain", b""))
            body += query.encode()
            self.send_response(206 if path == "/part.txt" else 200 if path in PAGES else 404)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(["127.0.0.1"], Limits(max_file_bytes=4000))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    numbers = iter(range(100))
    return lambda: tmp_path / f"fetched-{next(numbers)}"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/guide", "127.0.0.1/guide.html"),
        ("/moved#part", "127.0.0.1/guide.html"),
        ("/notes.md", "127.0.0.1/notes.md"),
        ("/", "127.0.0.1.html"),
    ],
)
async def test_a_document_is_kept_under_host_and_path(
    fetcher: Fetcher, folder: Callable[[], Path], server: str, path: str, source: str
) -> None:
    found = await fetcher.fetch(f" {server}{path} ", folder())
    assert found.source == source
    assert found.origin == f"{server}{path.partition('#')[0]}"
    assert found.path.suffix == Path(source).suffix
    assert found.path.read_bytes() in {body for _, body in PAGES.values()}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/guide?part=7", "127.0.0.1/guide (part=7).html"),
        ("/guide?v=1.5&of=a%2Fb%5Cc", "127.0.0.1/guide (v=1.5&of=a-b-c).html"),
        ("/notes.md?%00x", "127.0.0.1/notes (x).md"),
        ("/?a", "127.0.0.1 (a).html"),
        (f"/guide?key={'k' * 90}", "127.0.0.1/guide.html"),
        ("/guide?", "127.0.0.1/guide.html"),
    ],
)
async def test_a_name_holds_the_query_before_the_ending(
    fetcher: Fetcher, folder: Callable[[], Path], server: str, path: str, source: str
) -> None:
    assert (await fetcher.fetch(server + path, folder())).source == source


async def test_an_address_is_known_however_it_is_written(
    fetcher: Fetcher, folder: Callable[[], Path], server: str
) -> None:
    for address in (f"{server}/", server, server.replace("http", "HTTP")):
        assert (await fetcher.fetch(address, folder())).origin == f"{server}/"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/gone", "answered 404"),
        ("/part.txt", "part.txt could not be fetched: the server gave a part of it.*Try"),
        ("/program", "not read"),
        ("/untold", "tells no type"),
        ("/large.txt", "larger than"),
        ("/round", "leads on"),
        ("/inside", "not among the hosts"),
        ("/elsewhere", "not among the hosts"),
        ("/file", "could not be fetched"),
        ("/malformed", "malformed could not be fetched.*not allowed.*Try"),
        ("/high", "high could not be fetched: there is no port 99999.*Try"),
        ("/higher", "higher could not be fetched: there is no port 10+.*Try"),
        ("/cookie", "cookie could not be fetched.*cannot be read.*Try"),
    ],
)
async def test_what_gives_no_document_is_refused_with_the_reason(
    fetcher: Fetcher, folder: Callable[[], Path], server: str, path: str, why: str
) -> None:
    with pytest.raises(ApplicationError, match=why):
        await fetcher.fetch(server + path, folder())


async def test_private_networks_are_asked_only_where_they_are_named(
    folder: Callable[[], Path], server: str
) -> None:
    for hosts in ([], ["*"], ["*.0.0.1"], ["example.org"]):
        allowed = Fetcher(hosts, Limits())
        if hosts == ["*.0.0.1"]:
            assert await allowed.fetch(f"{server}/notes.md", folder())
            continue
        with pytest.raises(ApplicationError, match=r"private network|not among"):
            await allowed.fetch(f"{server}/notes.md", folder())
    for address in ("file:///etc/passwd", "127.0.0.1/x.md", f"{server}/{'x' * 3000}", ""):
        with pytest.raises(ApplicationError):
            await Fetcher(["127.0.0.1"], Limits()).fetch(address, folder())


async def test_an_address_is_one_document_of_a_collection(
    application: Application, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ApplicationError, match="private network"):
        await application.add_address("c", f"{server}/guide")
    monkeypatch.setattr(application, "_fetcher", Fetcher(["127.0.0.1"], Limits()))
    first = await application.add_address("c", f"{server}/guide")
    again = await application.add_address("c", f"{server}/guide")
    assert (first.added, again.unchanged) == (1, 1)
    monkeypatch.setitem(PAGES, "/guide", ("text/html", b"<p>The gate is shut.</p>"))
    changed = await application.add_address("c", f"{server}/guide")
    assert changed.updated == 1
    [found] = await application.documents("c")
    assert found.source == "127.0.0.1/guide.html"
    assert not list((tmp_path / "storage" / "uploads").glob("*"))


async def test_addresses_that_differ_in_query_or_path_are_documents_of_their_own(
    application: Application, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_fetcher", Fetcher(["127.0.0.1"], Limits()))
    monkeypatch.setitem(PAGES, "/guide.html", PAGES["/guide"])
    paths = ["/guide?part=1", "/guide?part=2", "/guide", "/guide.html"]
    for path in paths:
        report = await application.add_address("c", server + path)
        assert (report.added, report.failures) == (1, [])
    for path in paths:
        assert (await application.add_address("c", server + path)).unchanged == 1
    assert {found.source for found in await application.documents("c")} == {
        "127.0.0.1/guide (part=1).html",
        "127.0.0.1/guide (part=2).html",
        "127.0.0.1/guide.html",
        f"{server.removeprefix('http://')}/guide.html",
    }
