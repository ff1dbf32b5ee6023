"""A real loopback HTTP server that answers the Qdrant client from a script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.retrieval.index.places import DIMENSION

UPDATED = {"operation_id": 1, "status": "completed"}
COLLECTION = {
    "status": "green",
    "optimizer_status": "ok",
    "segments_count": 1,
    "config": {
        "params": {
            "vectors": {"dense": {"size": DIMENSION, "distance": "Cosine"}},
            "sparse_vectors": {"bm25": {"modifier": "idf"}},
        },
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
        "optimizer_config": {
            "deleted_threshold": 0.2,
            "vacuum_min_vector_number": 1000,
            "default_segment_number": 0,
            "flush_interval_sec": 5,
        },
    },
    "payload_schema": {},
}

VERSION = "1.19.0"
ANSWERS: dict[str, Any] = {
    "/exists": {"exists": True},
    "/aliases": {"aliases": []},
    "/points/scroll": {"points": [], "next_page_offset": None},
    "/points/query/batch": [{"points": []}],
}


def cluster(peers: int) -> dict[str, Any]:
    """What `/cluster` tells; https://api.qdrant.tech/api-reference/distributed/cluster-status."""
    if not peers:
        return {"status": "disabled"}
    raft = {"term": 1, "commit": 1, "pending_operations": 0, "leader": 1, "role": "Leader"}
    return {
        "status": "enabled",
        "peer_id": 1,
        "peers": {str(peer): {"uri": f"http://node{peer}:6335"} for peer in range(1, peers + 1)},
        "raft_info": {**raft, "is_voter": True},
        "consensus_thread_status": {
            "consensus_thread_status": "working",
            "last_update": "2026-01-01T00:00:00Z",
        },
        "message_send_failures": {},
    }


@dataclass
class Script:
    """What the server does, and what it was asked.

    Attributes:
        failures: statuses that answer the first requests, one each; then all succeed.
        retry_after: what a failure says of when to come again, if anything.
        scrolled: pages that scrolling gives, one each; then empty ones.
        requests: (method, path, body's length in bytes, body).
        queries: (method, path, what the address asks), of the same.
        peers: nodes of its cluster; none where it is alone.
    """

    url: str = ""
    peers: int = 0
    failures: list[int] = field(default_factory=list)
    retry_after: str = ""
    scrolled: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, int, Any]] = field(default_factory=list)
    queries: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)

    def bodies(self, method: str, path: str) -> list[tuple[int, Any]]:
        return [
            (size, body)
            for how, where, size, body in self.requests
            if (how, where) == (method, path)
        ]

    def result(self, method: str, path: str) -> Any:
        if path == "/cluster":
            return cluster(self.peers)
        if path.endswith("/points/scroll") and self.scrolled:
            return self.scrolled.pop(0)
        if (method, path.endswith("/points")) == ("POST", True):
            return []
        for ending, answer in ANSWERS.items():
            if path.endswith(ending):
                return answer
        if path.count("/") == 2:  # /collections/NAME
            return COLLECTION if method == "GET" else True
        return UPDATED


@contextmanager
def scripted_server() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            path, _, query = self.path.partition("?")
            script.queries.append((self.command, path, parse_qs(query)))
            script.requests.append((self.command, path, size, body))
            status = script.failures.pop(0) if script.failures else 200
            answer = {"result": script.result(self.command, path), "status": "ok", "time": 0.0}
            if path == "/":  # alone is not wrapped
                answer = {"title": "qdrant - vector search engine", "version": VERSION}
            data = json.dumps(answer if status == 200 else {"status": {"error": "no"}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status != 200 and script.retry_after:
                self.send_header("Retry-After", script.retry_after)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
