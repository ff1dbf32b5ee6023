"""A server on this machine that speaks the Hugging Face hub's protocol: data sets and models."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "5a7135c9f1d3b1c0a4a8f4c1c4b6e1d2c3b4a596"
Repositories = Mapping[str, Mapping[str, bytes]]


@contextmanager
def hub(repositories: Repositories, gated: frozenset[str] = frozenset()) -> Iterator[str]:
    """Serve repositories, name -> path -> content; yields the address."""

    class Hub(_Hub):
        shelf = repositories
        locked = gated

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def table(**splits: list[dict[str, Any]]) -> dict[str, bytes]:
    """Files of JSON lines, one a split."""
    return {
        f"{split}.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()
        for split, rows in splits.items()
    }


def repository(**configs: dict[str, bytes]) -> dict[str, bytes]:
    """A repository of tables: a card that names them and their splits, and their files."""
    card, files = ["---", "configs:"], dict[str, bytes]()
    for config, splits in configs.items():
        card += [f"- config_name: {config}", "  data_files:"]
        for name, content in splits.items():
            card += [f"  - split: {name.removesuffix('.jsonl')}", f"    path: {config}/{name}"]
            files[f"{config}/{name}"] = content
    return {"README.md": "\n".join([*card, "---", ""]).encode(), **files}


class _Hub(BaseHTTPRequestHandler):
    shelf: Repositories
    locked: frozenset[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        # Models lie below /api/models, but their files below their bare names.
        named = parts[0] == "datasets" or (api and parts[0] == "models")
        parts = parts[1:] if named else parts
        name, rest = "/".join(parts[:2]), parts[2:]
        files = self.shelf.get(name)
        if files is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif name in self.locked:
            self._send(401, b"{}", {"X-Error-Code": "GatedRepo"})
        elif api:
            self._send(200, json.dumps(_described(name, files, rest, body)).encode())
        else:  # .../resolve/REVISION/PATH
            content, commit = files.get("/".join(rest[2:])), {"X-Repo-Commit": _commit(rest)}
            if content is None:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound", **commit})
            else:
                self._send(200, content, {"ETag": f'"{_digest(content)}"', **commit})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _described(name: str, files: Mapping[str, bytes], rest: list[str], body: bytes) -> Any:
    """What the interface says of a repository, or of paths in it."""
    if rest[:1] == ["tree"]:
        folder = "/".join(rest[2:])
        within = [path for path in files if path.startswith(f"{folder}/") or not folder]
        return [_file(path, files[path]) for path in within] + _folders(within)
    if rest[:1] == ["paths-info"]:
        wanted = json.loads(body)["paths"] if body.startswith(b"{") else []
        return [_file(path, files[path]) for path in wanted if path in files] + [
            {"type": "directory", "path": path, "oid": "0" * 40}
            for path in wanted
            if any(file.startswith(f"{path}/") for file in files)
        ]
    siblings = [{"rfilename": path} for path in files]
    return {"_id": "1", "id": name, "sha": _commit(rest), "siblings": siblings}


def _commit(rest: list[str]) -> str:
    """The commit that a path speaks of: the one it names, or the newest."""
    return rest[1] if len(rest) > 1 and re.fullmatch("[0-9a-f]{40}", rest[1]) else COMMIT


def _file(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(content), "oid": _digest(content)}


def _folders(paths: list[str]) -> list[dict[str, Any]]:
    folders = sorted({path.rpartition("/")[0] for path in paths} - {""})
    return [{"type": "directory", "path": path, "oid": "0" * 40} for path in folders]


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
