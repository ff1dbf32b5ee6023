"""The pages that compare and evaluate in a real browser, with real runs."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from eval.datasets import beir
from retrieval.encoders.registry import built_in
from tests.hub_server import hub
from tests.openai_server import OpenAIServer, Reply
from tests.ui.browser import WIDE, Browser, require_chromium
from tests.ui.running import RunningApp

pytestmark = pytest.mark.browser

QUESTIONS = 6


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    server = OpenAIServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data-sets")


@pytest.fixture(scope="module")
def hub_address() -> Iterator[str]:
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": bytes(2_000_000)}
    with hub({"cross-encoder/ettin-reranker-17m-v1": files}) as address:
        yield address


@pytest.fixture(scope="module")
def app(
    tmp_path_factory: pytest.TempPathFactory,
    model: OpenAIServer,
    data_dir: Path,
    hub_address: str,
) -> Iterator[RunningApp]:
    """With a model to ask, a hub on this machine, and a second encoder that is here."""
    require_chromium()
    row = built_in()["minilm"].model_dump(exclude={"name", "bright", "bright_source"})
    running = RunningApp(
        tmp_path_factory.mktemp("storage"),
        ["ui", "--no-open", "--port", "0"],
        fresh=True,  # the hub's address is read when its client is imported
        RAG_APP_LLM__API_BASE=model.url,
        RAG_APP_LLM__MODEL=model.model,
        RAG_APP_READER__KIND="llm",
        RAG_APP_SERVER__DATA_DIR=str(data_dir),
        RAG_APP_ENCODERS__SHORT__ROW=json.dumps(row, default=list),
        RAG_APP_ENCODERS__SHORT__PASSAGE_LENGTH="64",
        HF_ENDPOINT=hub_address,
        HF_HOME=str(tmp_path_factory.mktemp("hub")),
        HF_HUB_OFFLINE="0",
    )
    yield running
    running.stop()
    assert not [line for line in running.lines if "Traceback" in line], running.lines


@pytest.fixture
def browse(app: RunningApp, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    browsers: list[Browser] = []

    def start(size: tuple[int, int] = WIDE, *, dark: bool = False) -> Browser:
        browsers.append(Browser(tmp_path / f"profile-{len(browsers)}", size, dark=dark))
        page = browsers[-1]
        page.open(app.page)
        page.until(lambda: page.all(".offer"), "the samples did not come", 60)
        page.click("[data-view=evaluation]")
        page.until(lambda: page.one("#measured input").get_attribute("value") == "samples")
        return page

    yield start
    for browser in browsers:
        browser.close()


def write(page: Browser, field: str, text: str) -> None:
    from selenium.webdriver.common.keys import Keys

    page.until(lambda: page.all(f"#{field} :is(input, textarea)"))
    box = page.one(f"#{field} :is(input, textarea)")
    page.until(box.is_displayed)
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(text, Keys.TAB)


def ended(page: Browser, state: str) -> None:
    page.until(lambda: page.all(f"#past .run.{state}"), f"no run is {state}", 120)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=str)
def test_systems_are_compared_side_by_side_and_votes_become_an_evaluation_set(
    browse: Callable[..., Browser],
    app: RunningApp,
    model: OpenAIServer,
    size: tuple[int, int],
    tmp_path: Path,
) -> None:
    model.replies = [Reply("It stands in the passage [1].")]
    page = browse(size, dark=size[0] < 600)
    page.click("[data-view=compare]")
    page.until(lambda: page.all(".compare-form fieldset"), "there is no form")
    page.until(lambda: page.one("#compare-form textarea").is_displayed())
    disabled = page.run(
        "return [...document.querySelectorAll('#compare-form option:disabled')]"
        ".map((one) => one.textContent)"
    )
    assert "cross-encoder – needs rerank.model or rerank.url" in disabled
    page.click("[data-act=add]")
    page.one("#compare-form textarea").send_keys("How salty is the sea?")
    page.screenshot(f"compare-form-{size[0]}")
    page.click("#compare-form .go")
    page.until(lambda: page.all("#compared .found tr"), "nothing was found")
    top = "return document.querySelector('#compared').getBoundingClientRect().top"
    assert 0 <= page.run(top) <= 0.7 * size[1], "the answers are out of sight"
    names = [one.text for one in page.all("#compared .contender h4")]
    assert names == ["bm25", "hybrid", "dense"]
    assert all("in all" in one.text for one in page.all("#compared .contender .where"))
    assert len(page.all("#compared .wide-table tbody tr")) > 3
    page.click("#compared .cite")
    page.until(lambda: page.all("#compared tr.shown"), "the citation leads nowhere")
    page.screenshot(f"compare-{size[0]}")

    page.run("document.querySelector('#compared .found input').click()")
    page.click("#compared [data-system=hybrid]")
    page.until(lambda: page.all("#compared .contender.chosen"), "the vote was not kept")
    page.until(lambda: "hybrid 1" in page.text("#votes"))
    page.run("document.querySelector('#votes').scrollIntoView()")
    page.screenshot(f"compare-vote-{size[0]}")
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
    page.click("[data-view=chat]")
    end = "return document.querySelector('.top [data-act=theme]').getBoundingClientRect().right"
    assert page.run(end) <= size[0], "the theme button is cut off"
    page.screenshot(f"compare-header-{size[0]}")
    assert page.complaints() == []
    with app.browser() as client:  # another visitor has not voted
        assert client.get("/votes/samples").status_code == 404
    cookies = {one["name"]: one["value"] for one in page.driver.get_cookies()}
    address = page.one("#votes a").get_attribute("href")
    exported = tmp_path / "votes.zip"
    exported.write_bytes(
        httpx.get(str(address), cookies=cookies, trust_env=False, timeout=60).content
    )
    shutil.unpack_archive(exported, tmp_path / "set")
    dataset = beir.load(tmp_path / "set")
    assert list(dataset.queries.values()) == ["How salty is the sea?"]
    assert [len(one) for one in dataset.qrels.values()] == [1]


def test_encoders_are_indexed_and_rerankers_downloaded_from_the_catalogue(
    browse: Callable[..., Browser],
) -> None:
    page = browse((1440, 900))
    page.click("[data-view=compare]")
    reranker, encoder = '[data-item="ettin-reranker-17m"]', '[data-item="short"]'
    page.until(lambda: "is not downloaded" in page.text(reranker), "there is no catalogue")
    page.click(f"{reranker} [data-act=download]")
    page.until(lambda: "downloaded: set" in page.text(reranker), "it was not downloaded")
    page.one("#compare-form textarea").send_keys("Typed before")
    page.click(f"{encoder} [data-act=build]")
    page.until(lambda: "indexed" in page.text(encoder), "no index was built", 60)
    page.until(
        lambda: page.run(
            "return [...document.querySelectorAll('#compare-form [name=encoder] option')]"
            ".some((one) => one.value === 'short' && !one.disabled)"
        ),
        "the new index cannot be chosen",
    )
    assert page.one("#compare-form textarea").get_attribute("value") == "Typed before"
    page.run("document.querySelector('#catalogue').scrollIntoView()")
    page.screenshot("catalogue")
    assert page.complaints() == []

    narrow = browse((390, 844), dark=True)
    narrow.click("[data-view=compare]")
    narrow.until(lambda: "indexed" in narrow.text(encoder))
    narrow.run("document.querySelector('#catalogue').scrollIntoView()")
    narrow.screenshot("catalogue-phone-dark")
    assert narrow.run("return document.documentElement.scrollWidth <= window.innerWidth")


def test_retrievers_are_compared_on_ones_own_documents_and_the_report_is_read(
    browse: Callable[..., Browser], app: RunningApp, model: OpenAIServer
) -> None:
    model.replies = [Reply('{"question": "Which pump runs dry?"}')]
    page = browse((1440, 900))
    assert "No runs yet" in page.text("#past")
    assert "needs rerank.model or rerank.url" in page.text("#parts")
    page.click("#more-options > button")
    page.until(lambda: page.one("#option-depth input").is_displayed())
    page.screenshot("evaluation-form")
    page.click("#more-options > button")
    write(page, "option-limit", "5")
    page.click("#start")
    page.until(lambda: page.all("#now .run"), "nothing is under way")
    ended(page, "done")
    assert not page.all("#now .run")
    assert "own:samples" in page.text("#past")
    assert [found.text for found in page.all("#past dt")] == ["bm25", "dense", "hybrid"]
    page.click("#past [data-act=report]")
    frame = page.one("iframe")
    page.driver.switch_to.frame(frame)
    page.until(lambda: "hybrid" in page.text("body"))
    look = "const one = getComputedStyle(document.querySelector('main'));"
    assert page.run(f"{look} return document.fonts.check('16px \\'IBM Plex Sans\\'')")
    light = page.run(f"{look} return one.color")
    page.driver.switch_to.default_content()
    page.click("[data-act=theme]")
    page.driver.switch_to.frame(page.one("iframe"))
    page.until(lambda: page.run(f"{look} return one.color") != light, "the report stays light")
    page.driver.switch_to.default_content()
    page.click("[data-act=theme]")
    card = page.text("#past .run.done")
    assert card.index(page.text("#past .verdict")) < card.index("hybrid\n")
    page.driver.switch_to.default_content()
    page.screenshot("evaluation")
    assert page.complaints() == []
    assert not [url for url in page.requested() if not url.startswith((app.address, "data:"))]

    narrow = browse((390, 844), dark=True)
    narrow.screenshot("phone-dark-evaluation")
    narrow.click("#past [data-act=report]")
    narrow.until(lambda: narrow.all("iframe"))
    narrow.screenshot("phone-dark-report")
    assert narrow.run("return document.documentElement.scrollWidth <= window.innerWidth")
    narrow.click("[data-view=chat]")
    narrow.until(lambda: narrow.one("#box textarea").is_displayed())


def test_a_run_is_stopped_and_taken_up_again(
    browse: Callable[..., Browser], model: OpenAIServer, data_dir: Path
) -> None:
    lines = (
        {"id": str(n), "question": f"What is {n} + 1?", "choices": [str(n + 1), "7", "8", "9"],
         "answer_idx": 0}
        for n in range(QUESTIONS)
    )  # fmt: skip
    (data_dir / "sums.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    model.replies = [Reply("The answer is A.", hang_after=0)]
    page = browse()
    page.choose("#subject", "Multiple-choice")
    page.until(lambda: "own documents" in page.one("#measured input").get_attribute("value"))
    page.choose("#measured", "samples")
    write(page, "dataset", "sums.jsonl")
    page.click("#start")
    page.until(lambda: "0 of" in page.text("#now"), "nothing is under way", 60)
    page.click("#start")
    page.until(lambda: "is under way" in page.text("#evaluation-status"))
    page.click("#now [data-act=stop]")
    ended(page, "interrupted")
    model.replies = [Reply("The answer is A.")]
    page.click("#past .interrupted [data-act=resume]")
    page.until(lambda: "accuracy" in page.text("#past .run.done"), "it did not end", 120)
    arms = [found.text for found in page.all("#past .run:first-child dt")]
    assert arms == ["closed book", "rag", "random"]
    assert page.complaints() == []


def test_what_cannot_be_measured_is_explained(
    browse: Callable[..., Browser], data_dir: Path
) -> None:
    (data_dir / "empty").mkdir()
    page = browse()
    page.choose("#subject", "public collection")
    for outside in ("", "/etc", "..", "a" * 300):
        write(page, "dataset", outside)
        page.click("#start")
        page.until(lambda: f"no data set {outside!r}" in page.text("#evaluation-status"))  # noqa: B023
    write(page, "dataset", "empty")
    page.click("#start")
    ended(page, "failed")
    assert "empty" in page.text("#past .run.failed .error")
    page.driver.refresh()
    page.until(lambda: page.all("#past .run.failed"), "the page stays where it was")
    page.click("#past .failed [data-act=remove]")
    page.driver.switch_to.alert.accept()
    page.until(lambda: not page.all("#past .run.failed"), "the run is still there")


def test_the_shown_documents_are_adapted_to_and_the_page_may_be_left_meanwhile(
    browse: Callable[..., Browser],
) -> None:
    pytest.importorskip("peft", reason="optional: needs the extra `train`")
    page = browse()
    page.click("[data-view=chat]")
    page.click("#adapt")
    page.until(lambda: page.all("#adapted .run.running"), "nothing is under way")
    page.driver.refresh()
    page.until(lambda: page.all("#adapted .run.running"), "it is not shown after a reload", 60)
    page.until(lambda: not page.one("#adapt").is_enabled())
    page.click("#adapted [data-act=stop]")
    page.until(lambda: page.all("#adapted .run.interrupted [data-act=resume]"), "it goes on", 60)
    page.click("#adapted [data-act=remove]")
    page.driver.switch_to.alert.accept()
    page.until(lambda: not page.all("#adapted .run"), "the run is still there")
    assert page.complaints() == []
