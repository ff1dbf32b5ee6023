"""The page as a program that wishes it ill sees it: its events, and what it answers to each."""

import json
import re
from typing import Any

import httpx

_CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});</script>", re.DOTALL)


def config(client: httpx.Client) -> dict[str, Any]:
    """What the page tells a browser of its components and events."""
    answer = client.get("/config")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def event(index: int, data: list[Any], session: str, **more: Any) -> dict[str, Any]:
    """An event as the page sends it."""
    return {"fn_index": index, "data": data, "session_hash": session, **more}


def send(client: httpx.Client, event: dict[str, Any], *, queued: bool) -> tuple[int, str]:
    """Send an event and wait for its end; returns status and all that came."""
    if not queued:
        answer = client.post("/gradio_api/run/predict", json=event)
        return answer.status_code, answer.text
    joined = client.post("/gradio_api/queue/join", json=event)
    if joined.status_code != 200:
        return joined.status_code, joined.text
    said = []
    query = {"session_hash": event["session_hash"]}
    with client.stream("GET", "/gradio_api/queue/data", params=query) as stream:
        for line in stream.iter_lines():
            said.append(line)
            if json.loads(line.removeprefix("data: ") or "{}").get("msg") == "close_stream":
                break
    return 200, "\n".join(said)
