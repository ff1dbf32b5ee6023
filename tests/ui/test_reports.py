"""Who gets a report, and what it may do, from the real application."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.ui.running import RunningApp
from ui.guard import HEADERS, REPORT_HEADERS

REPORT = "/evaluations/a-run/report.html"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("storage")
    folder = storage / "evaluations" / "a-run"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<!doctype html><head></head><p>The report</p>")
    (folder / "launch.toml").write_text("")
    return storage


@pytest.fixture(scope="module")
def locked(storage: Path) -> Iterator[RunningApp]:
    running = RunningApp(storage, ["serve", "--port", "0"], RAG_APP_SERVER__PASSWORD="the-password")
    yield running
    running.stop()


@pytest.fixture
def client(locked: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked.address, trust_env=False, timeout=60) as client:
        yield client


def test_nobody_sees_a_report_without_the_password(client: httpx.Client) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer guessed"},
        {"Authorization": "Basic Z3Vlc3M="},
        {"Cookie": "rag-app-00000000=guessed.0.guessed"},
    ):
        answer = client.get(REPORT, headers=headers)
        assert answer.status_code == 401
        assert "The report" not in answer.text
    assert client.get("/evaluations/nothing/report.html").status_code == 401, "tells no names"


def test_whoever_is_signed_in_sees_it(client: httpx.Client) -> None:
    wrong = {"username": "admin", "password": "guessed"}
    assert client.post("/login", data=wrong).status_code == 401
    assert client.get(REPORT).status_code == 401
    right = {"username": "admin", "password": "the-password"}
    assert client.post("/login", data=right).status_code == 303
    assert "The report" in client.get(REPORT).text
    client.post("/logout")
    assert client.get(REPORT).status_code == 401


def test_programs_see_it_with_the_password(client: httpx.Client) -> None:
    assert "The report" in client.get(REPORT, auth=("admin", "the-password")).text
    bearer = {"Authorization": "Bearer the-password"}
    assert "The report" in client.get(REPORT, headers=bearer).text


def test_a_report_may_do_nothing_and_only_our_page_may_frame_it(client: httpx.Client) -> None:
    answer = client.get(REPORT, auth=("admin", "the-password"))
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert {"sandbox", "frame-ancestors 'self'"} <= set(policy.split("; "))
    assert {name: answer.headers[name] for name in REPORT_HEADERS} == REPORT_HEADERS
    assert answer.headers["Cache-Control"] == "no-store"
    assert (
        client.get("/healthz").headers["Content-Security-Policy"]
        == (HEADERS["Content-Security-Policy"])
    )


def test_a_report_comes_in_the_pages_type_and_theme(client: httpx.Client) -> None:
    def shown(query: str) -> httpx.Response:
        return client.get(REPORT + query, auth=("admin", "the-password"))

    dark = shown("?theme=dark").text
    assert dark.count("@font-face") == 2
    assert ":root{color-scheme:dark}" in dark
    assert "color-scheme" not in shown("").text
    assert shown("?theme=red}body{display:none").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/evaluations/a-run/launch.toml",
        "/evaluations/nothing/report.html",
        "/evaluations/../report.html",
        "/evaluations/%2e%2e/report.html",
        "/evaluations/..%2fevaluations%2fa-run/report.html",
        "/evaluations/a-run%00/report.html",
    ],
)
def test_no_other_file_is_served(client: httpx.Client, path: str) -> None:
    answer = client.get(path, auth=("admin", "the-password"), follow_redirects=False)
    assert answer.status_code != 200
    assert "The report" not in answer.text


def test_another_sites_page_cannot_fetch_it(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get(REPORT, auth=("admin", "the-password"), headers=headers).status_code == 403


def test_openais_client_signs_in_with_the_password(locked: RunningApp, client) -> None:
    import openai

    def asks(key: str) -> openai.OpenAI:
        address = f"{locked.address}/v1"
        return openai.OpenAI(base_url=address, api_key=key, max_retries=0, http_client=client)

    assert "closed-book" in {model.id for model in asks("the-password").models.list()}
    with pytest.raises(openai.AuthenticationError):
        asks("guessed").models.list()
    foreign = {"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer the-password"}
    assert client.post("/v1/chat/completions", json={}, headers=foreign).status_code == 403
