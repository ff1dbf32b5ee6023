"""Every tab and dialog by axe-core's rules, and text of every direction, in a real browser."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.openai_server import OpenAIServer, Reply
from tests.ui.browser import Browser, require_chromium
from tests.ui.running import RunningApp

pytestmark = pytest.mark.browser

SIZES = ((1440, 900), (390, 844))
_RUN = """
const done = arguments[0];
axe.run(document, { resultTypes: ['violations'], iframes: false }).then((result) => done(
  result.violations.filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => `${one.id}: ` + one.nodes.map((node) => node.html.slice(0, 160)).join(' | '))
), (error) => done([String(error)]));
"""
_SHOWN = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.offsetParent)"
ARABIC, JAPANESE = "متى تغادر العبّارة؟", "船は何時に出ますか。"


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    server = OpenAIServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, model: OpenAIServer) -> Iterator[RunningApp]:
    require_chromium()
    running = RunningApp(
        tmp_path_factory.mktemp("storage"),
        ["ui", "--no-open", "--port", "0"],
        RAG_APP_LLM__API_BASE=model.url,
        RAG_APP_LLM__MODEL=model.model,
        RAG_APP_READER__KIND="llm",
    )
    yield running
    running.stop()


@pytest.fixture
def page(app: RunningApp, tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "profile", SIZES[0])
    browser.open(app.page)
    browser.until(lambda: browser.all(".offer"), "the samples did not come", 60)
    yield browser
    browser.close()


def judged(page: Browser, where: str) -> list[str]:
    """Serious and critical faults of what is shown, in both sizes and shades."""
    found = []
    for width, height in SIZES:
        page.resize((width, height))
        for shade in ("light", "dark"):
            page.run("document.body.classList.toggle('dark', arguments[0])", shade == "dark")
            page.still()
            faults: list[str] = page.driver.execute_async_script(_RUN)
            found += [f"{where}, {width} px, {shade}: {fault}" for fault in faults]
    return found


def shown(page: Browser, selector: str) -> list[Any]:
    found: list[Any] = page.run(_SHOWN, selector)
    return found


def test_no_tab_and_no_dialog_has_a_serious_fault(page: Browser, model: OpenAIServer) -> None:
    model.replies = [Reply("Wet stacking is soot [1].\n\n| a | b |\n|---|---|\n| 1 | `x` |")]
    page.run((resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    faults = judged(page, "start")
    page.resize(SIZES[0])
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    page.click("#turns .cite")
    page.until(lambda: page.all("#marked"))
    faults += judged(page, "answer")
    for drawer in ("library", "evidence"):
        page.run("document.getElementById('page').dataset.drawer = arguments[0]", drawer)
        page.resize(SIZES[0])
        for at in range(len(shown(page, f"#{drawer} button[role=tab]"))):
            page.resize(SIZES[0])
            tabs = f"#{drawer} button[role=tab]"
            page.press(lambda tabs=tabs, at=at: shown(page, tabs)[at])
            faults += judged(page, f"{drawer}, tab {at + 1}")
    page.run("document.getElementById('page').dataset.drawer = ''")
    for dialog in page.run("return [...document.querySelectorAll('dialog')].map((one) => one.id)"):
        page.run("document.getElementById(arguments[0]).showModal()", dialog)
        faults += judged(page, f"dialog {dialog}")
        page.run("document.getElementById(arguments[0]).close()", dialog)
    page.resize(SIZES[0])
    views = [one.get_attribute("data-view") for one in page.all("[data-view]")]
    assert len(views) > 1
    for view in views[1:]:
        page.click(f"[data-view={view}]")
        faults += judged(page, f"view {view}")
    assert faults == []


def test_text_of_every_direction_is_laid_out_as_its_readers_do(
    page: Browser, model: OpenAIServer, tmp_path: Path
) -> None:
    model.replies = [
        Reply(f"{ARABIC} [1]\n\n{JAPANESE} [1]", delay=0),
        Reply("alone"),
        Reply(f"{JAPANESE} [1]", delay=0),
    ]
    page.new_collection("directions")
    (tmp_path / "عبّارة.md").write_text(f"# {ARABIC}\n\n{ARABIC} {JAPANESE * 40}\n", "utf-8")
    page.upload([tmp_path / "عبّارة.md"])
    page.until(lambda: page.all("#documents li.ready"), "the document did not come")
    page.ask(ARABIC)
    page.wait_for_answers(1)
    page.ask(JAPANESE * 20)
    page.wait_for_answers(2)
    page.click("#turns .cite")
    page.until(lambda: page.all("#marked"))
    direction = (
        "return [...document.querySelectorAll(arguments[0])]"
        ".map((one) => getComputedStyle(one).direction)"
    )
    assert page.run(direction, "#turns .question") == ["rtl", "ltr"]
    assert page.run(direction, "#turns .answer p[dir]") == ["rtl", "ltr", "ltr"]
    assert page.run(direction, "#documents .name") == ["rtl"]
    assert page.run(direction, "#chats .open span")[0] == "rtl"
    assert page.run(direction, ".passage h3, .passage .page h4, .passage .page p") == ["rtl"] * 3
    box = "return getComputedStyle(document.querySelector('#box textarea')).unicodeBidi"
    assert page.run(box) == "plaintext"
    languages = "return [...document.querySelectorAll('#turns .question')].map((one) => one.lang)"
    assert page.run(languages) == ["", "ja"]
    page.screenshot("directions")
    page.resize(SIZES[1])
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot("directions-phone")
