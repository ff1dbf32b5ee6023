"""The chat in a real browser, from an upload to a highlighted passage."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from tests.openai_server import OpenAIServer, Reply
from tests.ui.browser import NARROW, WIDE, Browser, require_chromium
from tests.ui.running import RunningApp

pytestmark = pytest.mark.browser

ANSWER = (
    "Word processing began with machines of the nineteenth century [1]. "
    "Typewriters came first, then magnetic tape, then screens [2]. "
) * 3
HOSTILE = """# Tide tables <script>window.owned = 1</script>

The tide at Skerry turns at noon <img src="http://evil.example/a.png" onerror="window.owned = 2">.
The tide at Skerry turns again ![tide](http://evil.example/b.png) at six in the evening.
The tide at Skerry [is explained here](javascript:window.owned=3) in full for visitors.
The tide at Skerry ${window.owned = 4} {{window.owned}} is </mark></div><style>*{color:red}</style>
The tide at Skerry <http://evil.example/c> see [1] <iframe src="http://evil.example/d"></iframe>.
"""


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    server = OpenAIServer().start()
    server.others = ["bigger-model"]
    yield server
    server.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, model: OpenAIServer) -> Iterator[RunningApp]:
    """The application with a model that a test may choose; quoting is the default."""
    require_chromium()
    running = RunningApp(
        tmp_path_factory.mktemp("storage"),
        ["ui", "--no-open", "--port", "0"],
        RAG_APP_LLM__API_BASE=model.url,
        RAG_APP_LLM__MODEL=model.model,
        RAG_APP_READER__KIND="llm",
        RAG_APP_INGEST__HOSTS='["127.0.0.1"]',
    )
    yield running
    running.stop()
    assert not [line for line in running.lines if "Traceback" in line], running.lines


@pytest.fixture
def browse(app: RunningApp, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    browsers: list[Browser] = []

    def start(size: tuple[int, int] = WIDE, *, dark: bool = False, address: str = "") -> Browser:
        browsers.append(Browser(tmp_path / f"profile-{len(browsers)}", size, dark=dark))
        browsers[-1].open(address or app.page)
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.close()


def test_a_person_uploads_asks_and_reads_the_evidence(
    browse: Callable[..., Browser], app: RunningApp, model: OpenAIServer, shared_data: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    model.replies = [Reply(ANSWER, piece=6, delay=0.06)]
    page = browse((1440, 900))
    page.until(lambda: page.all(".offer"), "the samples did not come", 60)
    page.new_collection("word-processing")
    page.until(lambda: "No documents yet." in page.text("#documents"))
    documents = shared_data / "documents"
    page.upload([documents / "multi_page.pdf", documents / "unit_test_headers.docx"])
    page.until(lambda: len(page.all("#documents li.ready")) == 2, "the documents did not come")
    assert "2 added" in page.text("#status")
    assert not list((app.storage / "uploads").glob("upload-*"))

    page.ask("How did word processing begin?")
    states = _growing(page)
    assert len(states) >= 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(states))
    assert len(page.wait_for_answers(1)) == 1
    page.screenshot("answer")

    hits = page.all(".hit")
    assert len(hits) >= 5
    page.click(".hit .why summary")
    ranks = page.text(".hit .ranks")
    assert all(name in ranks for name in ("dense", "BM25", "fused"))
    page.click("#turns .cite[data-n='2']")
    page.until(lambda: page.all(".sheet i"), "nothing is boxed on the page")
    assert page.text(".passage h3") == "multi_page.pdf"
    assert "page" in page.text(".passage .where")
    page.until(lambda: page.run("return document.querySelector('.sheet img').naturalWidth > 600"))
    assert page.run(
        "const m = document.querySelector('#marked').getBoundingClientRect(),"
        " p = document.querySelector('.page').getBoundingClientRect();"
        "return m.top < p.bottom && m.bottom > p.top && m.width > 20 && p.width > 200"
    )
    page.run("document.querySelector('.as-text').open = true")
    marks = page.run("return [...document.querySelectorAll('.page mark')].map(m => m.textContent)")
    whole = page.run("return document.querySelector('.as-text .page').textContent")
    assert "Word Processing Tools" in "".join(marks)
    assert len(whole) > len("".join(marks)) > 100
    badge = page.text(".passage .badge")
    page.one("#marked").send_keys(Keys.ARROW_LEFT)
    page.until(lambda: page.text(".passage .badge") != badge, "no key leads to another citation")
    page.one(".passage [data-step=next]").click()
    page.until(lambda: page.text(".passage .badge") == badge)
    page.screenshot("passage")

    page.tab("Timings")
    page.until(lambda: "Retrieve" in page.text(".trace"))
    assert "hybrid" in page.text(".trace")
    page.screenshot("timings")
    assert page.complaints() == []
    _only_from(page, app.address)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=str)
def test_a_collection_is_made_by_a_dialog_and_takes_the_next_upload(
    browse: Callable[..., Browser], app: RunningApp, size: tuple[int, int], tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    def open_library() -> None:
        page.until(lambda: page.one("#picker input").get_attribute("value"))
        if size[0] == 390:
            page.click("[data-drawer=library]")

    page, name = browse(size), f"kettles-{size[0]}"
    page.until(lambda: page.all(".offer"), "the samples did not come", 60)
    open_library()
    (tmp_path / "mine.md").write_text("# Mine\n\nThe kettle is green.\n", "utf-8")
    field = "#new-collection input"

    # a person's own files do not land among the samples unasked
    page.upload([tmp_path / "mine.md"])
    page.until(lambda: page.one(field).is_displayed(), "nobody asked where the file goes")
    assert page.one(field).size["height"] >= 28
    page.screenshot(f"new-collection-{size[0]}")
    page.one(field).send_keys("no/path", Keys.ENTER)
    page.until(lambda: page.all("#new-collection .error"), "the name was not refused")
    page.until(lambda: page.one(field).is_displayed())
    page.one(field).clear()
    page.one(field).send_keys(name, Keys.ENTER)
    page.until(lambda: page.one("#picker input").get_attribute("value") == name)
    page.until(lambda: "mine.md" in page.text("#documents"), "the document did not come")

    # it exists at once, and is still the target after a reload
    page.click("[data-opens=new-collection]")
    page.until(lambda: page.one(field).is_displayed())
    page.one(field).send_keys(f"empty {size[0]}", Keys.ENTER)
    empty = f"empty-{size[0]}"
    page.until(lambda: page.one("#picker input").get_attribute("value") == empty)
    page.open(app.page)
    open_library()
    assert page.one("#picker input").get_attribute("value") == empty
    page.until(lambda: "No documents yet." in page.text("#documents"))
    page.upload([tmp_path / "mine.md"])
    page.until(lambda: "mine.md" in page.text("#documents"), "the document did not come")


def test_a_file_that_cannot_be_read_is_named_with_its_reason(
    browse: Callable[..., Browser], shared_data: Path
) -> None:
    page = browse()
    page.new_collection("broken")
    documents = shared_data / "documents"
    page.upload([documents / "password.pdf", documents / "duck.md"])
    page.until(lambda: page.all("#status .failures li"), "no failure was shown")
    assert "password.pdf" in page.text("#status .failures")
    assert "1 added" in page.text("#status")
    page.until(lambda: len(page.all("#documents li.ready")) == 1)


def test_what_was_guessed_or_left_out_is_a_warning(
    browse: Callable[..., Browser], tmp_path: Path
) -> None:
    page = browse()
    page.new_collection("warnings")
    note = tmp_path / "notiz.txt"
    note.write_bytes(
        "Die Fähre fährt früh über den Süßsee. Größe und Maß: später.".encode("cp1252")
    )
    page.upload([note])
    page.until(lambda: page.all("#status .warnings li"), "no warning was shown")
    assert "notiz.txt" in page.text("#status .warnings")
    assert "encoding was guessed" in page.text("#status .warnings")
    page.screenshot("warnings")


def test_an_ingestion_survives_a_reload_and_can_be_cancelled(
    browse: Callable[..., Browser], app: RunningApp, tmp_path: Path
) -> None:
    page = browse()
    page.new_collection("long")
    for number in range(12):
        text = "".join(f"Line {number} {at} of the log of the lock.\n\n" for at in range(12_000))
        (tmp_path / f"log-{number}.md").write_text(text)
    page.upload(sorted(tmp_path.glob("log-*.md")))
    page.until(lambda: "of 12 documents" in page.text("#status"), "no progress was shown", 60)
    page.open(app.page)  # as a person does who has closed the tab
    page.until(lambda: "of 12 documents" in page.text("#status"), "the progress was lost")
    page.until(lambda: page.one("#cancel").is_displayed())
    page.screenshot("ingesting")
    page.click("#cancel")
    page.until(lambda: "stopped after" in page.text("#status"), "it was not cancelled", 240)
    page.screenshot("cancelled")
    page.until(lambda: not page.all("#cancel") or not page.one("#cancel").is_displayed())


def test_two_people_do_not_see_each_other(
    browse: Callable[..., Browser], model: OpenAIServer
) -> None:
    model.replies = [Reply("Your answer is this one [1].", delay=0.01)]
    first, second = browse(), browse()
    first.until(lambda: first.all(".offer"))
    first.ask("What is wet stacking?")
    second.ask("How salty is the sea?")
    first.wait_for_answers(1)
    second.wait_for_answers(1)
    assert "wet stacking" in first.text("#turns")
    assert "wet stacking" not in second.text("body")
    assert "How salty" not in first.text("body")
    assert chats(first) == ["What is wet stacking?"]
    assert chats(second) == ["How salty is the sea?"]


def test_nothing_that_a_document_or_a_model_says_is_carried_out(
    browse: Callable[..., Browser], app: RunningApp, model: OpenAIServer, tmp_path: Path
) -> None:
    model.replies = [Reply(HOSTILE)]
    hostile = tmp_path / "<img src=x onerror=window.owned=5>.md"
    hostile.write_text(HOSTILE)
    page = browse()
    page.new_collection("hostile")
    page.upload([hostile])
    page.until(lambda: page.all("#documents li.ready"))
    assert page.text("#documents li span").startswith("<img src=x onerror=window.owned=5>.md")
    page.ask("<script>window.owned = 6</script> When does the tide at Skerry turn?")
    page.wait_for_answers(1)
    page.click("#turns .cite")
    page.until(lambda: page.all("mark"))
    page.tab("Settings")
    page.tab("Sources")
    page.run("document.querySelectorAll('#turns a, #evidence a').forEach((a) => a.click())")
    time.sleep(1)
    assert page.run("return window.owned === undefined")
    assert page.run(
        "return document.querySelectorAll('#page iframe, #page .answer img, #page .page img,"
        " #page .answer a, #evidence a, #page script, #page style').length"
    ) == 0  # fmt: skip
    assert "window.owned = 1" in page.text(".answer")
    page.screenshot("hostile")
    _only_from(page, app.address)


def test_thoughts_are_folded_and_stay_unfolded_while_they_grow(
    browse: Callable[..., Browser], model: OpenAIServer
) -> None:
    model.replies = [Reply(f"<think>{'hm, so ' * 40}</think>Yes [1].", piece=4, delay=0.05)]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.ask("How salty is the sea?")
    page.until(lambda: page.all("#live details"), "no thoughts came")
    is_open = "return document.querySelector('#live details').open"
    assert page.run(is_open) is False
    page.run("document.querySelector('#live summary').click()")
    before = page.run("return document.querySelector('#live details').textContent.length")
    page.until(
        lambda: (
            page.run("return document.querySelector('#live details').textContent.length")
            > before + 20
        )
    )
    assert page.run(is_open) is True
    page.wait_for_answers(1)
    assert "hm" not in page.text(".answer")


def test_stopping_keeps_what_has_come(browse: Callable[..., Browser], model: OpenAIServer) -> None:
    model.replies = [Reply("It begins well and then nothing more.", piece=16, hang_after=1)]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.ask("What is wet stacking?")
    page.until(lambda: "It begins" in page.text("#live"))
    page.click("#box .stop-button")
    assert "It begins" in page.wait_for_answers(1)[0]
    assert "Stopped before the end" in page.answers()[0]
    page.one("#box .submit-button")


def test_an_unreachable_model_is_explained_and_the_next_question_works(
    browse: Callable[..., Browser], model: OpenAIServer
) -> None:
    model.replies = [Reply(status=401, error="wrong key"), Reply("Now it works [1].")]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    assert page.all("#turns .error")
    assert "Traceback" not in page.text("body")
    page.ask("And now?")
    assert "Now it works" in page.wait_for_answers(2)[1]


def test_settings_hold_for_the_question(
    browse: Callable[..., Browser], model: OpenAIServer
) -> None:
    model.replies = [Reply("Only words count [1].")]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.tab("Settings")
    page.run("document.querySelector('#retriever input').focus()")
    page.choose("#retriever", "bm25")
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    ranks = page.run("return document.querySelector('.hits').textContent")
    assert "dense" not in ranks
    assert "BM25" in ranks
    page.tab("Documents")
    page.click(".only[value='event-log.md']")
    page.until(lambda: "asks 1 of" in page.text("#documents .limit"))
    page.ask("When did the pump stop?")
    page.wait_for_answers(2)
    page.until(lambda: "When did the pump stop?" in page.text("#evidence .about"))
    assert {title.text for title in page.all(".hit .title b")} == {"event-log.md"}


def test_the_conversation_can_be_saved_and_begun_anew(
    browse: Callable[..., Browser], model: OpenAIServer, tmp_path: Path
) -> None:
    model.replies = [Reply("Wet stacking is soot [1].")]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    page.click("#export")
    saved = tmp_path / "profile-0" / "conversation.md"
    page.until(saved.is_file, "nothing was saved")
    assert "## What is wet stacking?\n\nWet stacking is soot [1]." in saved.read_text()
    page.click("#fresh")
    page.until(lambda: page.all(".offer"), "the start is not shown again")
    assert page.answers() == []


def chats(page: Browser) -> list[str]:
    """Titles of the conversations in the list."""
    return [found.text for found in page.all("#chats .open span")]


def test_a_conversation_is_there_after_a_reload_and_is_found_renamed_and_deleted(
    browse: Callable[..., Browser], app: RunningApp, model: OpenAIServer
) -> None:
    model.replies = [
        Reply("Soot [1]."), Reply("How is wet stacking avoided?"), Reply("By load [1]."),
        Reply("Very salty [1]."),
    ]  # fmt: skip
    page = browse((1440, 900))
    page.until(lambda: page.all(".offer"))
    page.until(lambda: page.all("#model input") and page.one("#model input").is_displayed())
    page.click("#model input")
    page.click("#model [role=option][data-value='bigger-model'], #model li:nth-child(2)")
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    assert model.requests[-1]["model"] == "bigger-model"
    page.ask("How is it avoided?")
    page.wait_for_answers(2)
    page.driver.refresh()
    page.until(lambda: len(page.answers()) == 2, "the conversation was lost")
    page.until(lambda: "How is wet stacking avoided" in page.text("#turns"))
    page.until(lambda: page.run("return document.querySelectorAll('.hit').length") > 0)
    assert [answer[:4] for answer in page.answers()] == ["Soot", "By l"]
    page.click("#turns .cite")
    page.until(lambda: page.all("mark"), "a citation of a reopened conversation does not work")
    picked = "return document.querySelector('#model input').value"
    page.until(lambda: page.run(picked) == "bigger-model", "the model of it was forgotten")
    page.screenshot("reopened")

    page.click("#fresh")
    page.until(lambda: page.all(".offer"), "the start is not shown")
    page.until(lambda: page.run(picked) == model.model, "another conversation has its model")
    page.ask("How salty is the sea?")
    page.wait_for_answers(1)
    assert chats(page) == ["How salty is the sea?", "What is wet stacking?"]
    page.one("#chats-search input, #chats-search textarea").send_keys("BY LOAD")
    page.until(lambda: chats(page) == ["What is wet stacking?"], "the search found another")
    page.click("#chats .open")
    page.until(lambda: len(page.answers()) == 2, "it was not opened")
    page.run("document.querySelector('[data-act=rename]').click()")
    page.driver.switch_to.alert.send_keys("Engines <b>")
    page.driver.switch_to.alert.accept()
    page.until(lambda: chats(page) == ["Engines <b>"], "it was not renamed")
    page.screenshot("conversations")
    page.run("document.querySelector('[data-act=delete-chat]').click()")
    page.driver.switch_to.alert.dismiss()
    assert len(page.answers()) == 2
    page.run("document.querySelector('[data-act=delete-chat]').click()")
    page.driver.switch_to.alert.accept()
    page.until(lambda: page.all(".offer"), "the deleted conversation is still open")
    page.until(lambda: chats(page) == [], "it is still listed")
    assert page.complaints() == []


def test_a_new_conversation_during_an_answer_mixes_nothing_and_loses_nothing(
    browse: Callable[..., Browser], model: OpenAIServer
) -> None:
    model.replies = [Reply("It begins and hangs.", piece=9, hang_after=1), Reply("Salty [1].")]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.ask("What is wet stacking?")
    page.until(lambda: "It begins" in page.text("#live"))
    page.click("#fresh")
    page.until(lambda: page.all(".offer"), "the start is not shown")
    page.ask("How salty is the sea?")
    assert "Salty" in page.wait_for_answers(1)[0]
    assert "It begins" not in page.text("#chat")
    page.until(lambda: len(chats(page)) == 2)
    page.all("#chats .open")[1].click()
    page.until(lambda: "It begins" in "".join(page.answers()), "the stopped answer was lost")
    assert "Stopped before the end" in page.answers()[0]
    assert len(page.answers()) == 1


def test_documents_are_found_read_added_and_deleted(
    browse: Callable[..., Browser], app: RunningApp, model: OpenAIServer, tmp_path: Path
) -> None:
    names = [f"tide-{number}.md" for number in range(5)] + ["größe & <b>.md"]
    for name in names:
        table = "| a | b |\n|---|---|\n| 1 | 2 |"
        (tmp_path / name).write_text(f"# Skerry\n\nThis is {name}.\n\n{table}\n")
    page = browse((1440, 900))
    page.new_collection("harbour")
    page.upload([tmp_path / name for name in names])
    page.until(lambda: len(page.all("#documents li.ready")) == 6, "the documents did not come")
    page.screenshot("documents")

    page.one("#documents .find").send_keys("GRÖSSE"[:3])
    page.until(lambda: sum(row.is_displayed() for row in page.all("#documents li")) == 1)
    page.click(f"#documents .name[data-source='{names[-1]}']")
    page.until(lambda: page.all("#evidence .page td"), "the document was not shown as it was read")
    assert page.text("#evidence h3") == names[-1]
    address = page.one("#documents li:not([hidden]) a").get_attribute("href")
    with app.browser() as client:
        saved = client.get(address)
        assert saved.content == (tmp_path / names[-1]).read_bytes()
        assert saved.headers["content-disposition"].startswith("attachment")
        assert saved.headers["content-type"] == "application/octet-stream"
        assert client.get("/originals/harbour", params={"source": "../../x"}).status_code == 404
        assert client.get("/originals/%2e%2e", params={"source": "x"}).status_code == 404

    page.click("#documents li:not([hidden]) [data-act=delete]")
    page.driver.switch_to.alert.accept()
    page.until(lambda: len(page.all("#documents li")) == 5)

    _add_a_folder_and_ask(page, model, tmp_path / "more")
    page.click("[data-act=drop]")
    page.driver.switch_to.alert.dismiss()
    page.click("[data-act=drop]")
    page.driver.switch_to.alert.accept()
    page.until(lambda: page.one("#picker input").get_attribute("value") == "samples")
    with app.browser() as client:
        assert "harbour" not in {one["name"] for one in client.get("/api/collections").json()}


def _add_a_folder_and_ask(page: Browser, model: OpenAIServer, folder: Path) -> None:
    """Of five documents in "harbour" one is read anew; a sixth is added, and the samples asked."""
    from selenium.webdriver.common.keys import Keys

    page.click("#documents [data-act=reingest]")
    page.until(lambda: "1 updated" in page.text("#status"), "a document was not read anew")
    page.click("[data-opens=add-source]")
    page.until(lambda: page.one("#add-source input").is_displayed())
    page.one("#add-source input").send_keys("no/folder", Keys.ENTER)
    page.until(lambda: page.all("#add-source .error"), "what is no folder was taken")
    folder.mkdir()
    (folder / "buoy.md").write_text("# Buoys\n\nThe buoy off Skerry is red.\n")
    page.until(lambda: page.one("#add-source input").is_displayed())
    page.one("#add-source input").clear()
    page.one("#add-source input").send_keys(str(folder), Keys.ENTER)
    page.until(lambda: len(page.all("#documents li.ready")) == 6, "the folder was not added")
    _add_an_address(page, folder)

    page.click("#presets [data-preset=fast]")
    page.until(lambda: page.all("#presets [data-preset=fast][aria-pressed=true]"))
    page.choose("#also", "samples")
    model.replies = [Reply("The buoy is red [1].", delay=0)]
    page.ask("Which colour has the buoy off Skerry?")
    page.wait_for_answers(1)
    page.until(lambda: len(page.all(".hit")) == 5, "Fast reads five passages")
    places = {one.text.split(" · ")[-1] for one in page.all(".hit small")}
    assert places == {"harbour", "samples"}


def test_a_folder_is_dropped_and_what_stands_in_it_is_found(
    browse: Callable[..., Browser], model: OpenAIServer, tmp_path: Path
) -> None:
    for place, lamp in (("office", "white"), ("office/old", "green"), ("office/.hidden", "blue")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "lamps.md").write_text(f"# Lamps\n\nThe lamp of Skerry is {lamp}.\n")
    (tmp_path / "office" / "film.mov").write_bytes(b"0")
    page = browse((1440, 900))
    page.new_collection("dropped")
    page.drop(tmp_path / "office", "#files")
    page.until(lambda: len(page.all("#documents li.ready")) == 2, "the folder was not taken")
    names = {one.get_attribute("data-source") for one in page.all("#documents li.ready .name")}
    assert names == {"office/lamps.md", "old/lamps.md"}
    page.until(lambda: "film.mov" in page.text("#status"), "what cannot be read is not named")


def _add_an_address(page: Browser, folder: Path) -> None:
    """A page of a web server comes as a document and goes again; a host not named is refused."""
    from selenium.webdriver.common.keys import Keys

    (folder / "lamp.html").write_text("<h1>Lamps</h1><p>The lamp of Skerry turns twice a minute.")
    answer = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for host in ("localhost", "127.0.0.1"):
            page.click("[data-opens=add-source]")
            page.until(lambda: page.one("#add-source input").is_displayed())
            page.one("#add-source input").clear()
            address = f"http://{host}:{server.server_port}/lamp.html"
            page.one("#add-source input").send_keys(address, Keys.ENTER)
            if host == "localhost":
                page.until(lambda: "not among the hosts" in page.text("#library"), "it was fetched")
        page.until(lambda: len(page.all("#documents li.ready")) == 7, "the page was not fetched")
        server.shutdown()
    page.click("#documents .name[data-source*=lamp]")
    page.until(lambda: "twice a minute" in page.text("#evidence .page"), "it is not shown")
    page.click("#documents li:has(.name[data-source*=lamp]) [data-act=delete]")
    page.driver.switch_to.alert.accept()
    page.until(lambda: len(page.all("#documents li")) == 6)


_PLACE = """
const all = document.querySelectorAll(arguments[0]), panel = document.querySelector('#scroll');
const [part, frame] = [all[all.length - 1], panel].map((one) => one.getBoundingClientRect());
return part.top >= frame.top && part.top < frame.bottom - 20;
"""
"""Whether the last of what matches begins where a person sees it."""


def test_each_answer_comes_into_view_is_copied_rated_and_asked_again(
    browse: Callable[..., Browser], model: OpenAIServer
) -> None:
    from selenium.webdriver.common.keys import Keys

    model.replies = [
        Reply("Soot [1]. " * 400), Reply("alone"), Reply("Then this [1]."), Reply("alone"),
        Reply("And that [1]."), Reply("alone"), Reply("Better [1]."),
    ]  # fmt: skip
    page = browse((1440, 900))
    page.until(lambda: page.all(".offer"), "the samples did not come", 60)
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    page.until(lambda: page.run(_PLACE, "#turns .question"), "a long answer hides its question")
    away = "const p = document.querySelector('#scroll'); p.dispatchEvent(new Event('wheel'));"
    page.run(f"{away} p.scrollTop = 0")
    page.ask("And then?")
    page.wait_for_answers(2)
    page.until(lambda: page.run(_PLACE, "#turns .answer"), "the answer is off screen")
    page.run(
        f"{away} p.scrollTop = 0; const box = document.querySelector('#box textarea');"
        "box.value = 'a long question '.repeat(500); box.dispatchEvent(new Event('input'))"
    )
    page.one("#box textarea").send_keys(" ", Keys.ENTER)
    page.wait_for_answers(3)
    page.until(lambda: page.run(_PLACE, "#turns .answer"), "a long question hides its answer")

    page.run("Object.defineProperty(navigator, 'clipboard',"
             " {value: {writeText: async (text) => { window.copied = text; }}})")  # fmt: skip
    page.run("[...document.querySelectorAll('[data-act=copy]')].at(-1).click()")
    copied = page.until(lambda: page.run("return window.copied"))
    assert copied.startswith("And that [1].\n\n[1] ")

    page.run("[...document.querySelectorAll('.thumb')].at(-1).click()")
    page.until(lambda: page.all(".comment input"), "nothing asks for words")
    page.one(".comment input").send_keys("off <b>")
    page.click(".comment button")
    page.until(lambda: page.text(".comment button") == "Saved")
    page.click("[data-act=theme]")
    page.driver.refresh()
    page.until(lambda: len(page.answers()) == 3)
    assert page.run("return document.body.classList.contains('dark')"), "the theme was forgotten"
    assert page.one(".comment input").get_attribute("value") == "off <b>"
    [pressed] = page.all(".thumb[aria-pressed=true]")
    assert pressed.get_attribute("aria-label") == "Bad answer"
    page.screenshot("rated")

    page.click("[data-act=edit]")
    page.one(".editing").clear()
    page.one(".editing").send_keys("Shorter?", Keys.ENTER)
    page.until(lambda: "Better" in page.answers()[-1], "it was not asked again")
    assert [one.text for one in page.all("#turns .question")][1:] == ["And then?", "Shorter?"]
    assert page.complaints() == []


def test_a_second_window_shows_what_the_first_has_added(
    browse: Callable[..., Browser], tmp_path: Path
) -> None:
    (tmp_path / "kettle.md").write_text("# Kettles\n\n## Green ones\n\nThe kettle is green.\n")
    first, second = browse(), browse(NARROW)
    first.new_collection("windows")
    second.until(lambda: second.all(".offer"), "the samples did not come", 60)
    second.click("[data-drawer=library]")
    first.upload([tmp_path / "kettle.md"])
    first.until(lambda: first.all("#documents li.ready"))
    first.until(lambda: "Green ones" in first.text(".offer"), "no question is suggested")
    first.click("#documents .only")
    first.until(lambda: "asks 1 of 1" in first.text("#documents .limit"))
    second.until(lambda: "windows" in picks(second), "the second window does not see it")
    second.press(lambda: second.option("#picker", "windows"))
    (tmp_path / "pot.md").write_text("The pot is blue.")
    second.until(lambda: second.all("#documents .name[data-source='kettle.md']"))
    second.upload([tmp_path / "pot.md"])
    first.until(lambda: len(first.all("#documents li.ready")) == 2, "it was not shown")
    assert "asks 1 of 2" in first.text("#documents .limit")
    assert [one.is_selected() for one in first.all("#documents .only")] == [True, False]
    first.click("#documents [data-act=rename]")
    first.driver.switch_to.alert.send_keys("panes of glass")
    first.driver.switch_to.alert.accept()
    for page in (first, second):
        name = partial(page.run, "return document.querySelector('#picker input').value")
        page.until(lambda name=name: name() == "panes-of-glass", "a window keeps the old name")
        page.until(lambda page=page: len(page.all("#documents li.ready")) == 2)
    right = "return document.querySelector('[data-act=theme]').getBoundingClientRect().right"
    assert second.run(right) <= NARROW[0]


def picks(page: Browser) -> list[str]:
    """The collections that can be chosen."""
    page.click("#picker input")
    return [option.text.strip(" ✓") for option in page.all("#picker [role=option]")]


def test_keys_alone_reach_a_passage(browse: Callable[..., Browser], model: OpenAIServer) -> None:
    from selenium.webdriver.common.keys import Keys

    model.replies = [Reply("Wet stacking is soot [1].")]
    page = browse()
    page.until(lambda: page.all(".offer"))
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    assert page.run("return document.querySelectorAll('h1').length") == 1
    page.one("#documents [data-act=delete]")
    assert page.run(  # whoever goes by keys comes to the question before what deletes documents
        "const box = document.querySelector('#box textarea');"
        "return [...document.querySelectorAll('#documents button')].every((one) =>"
        " box.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING)"
    )
    chip = page.one("#turns .cite")
    page.run("arguments[0].focus()", chip)
    chip.send_keys(Keys.ENTER)
    page.until(lambda: page.all("mark"))


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_chat_and_evidence(
    browse: Callable[..., Browser], model: OpenAIServer, dark: bool
) -> None:
    model.replies = [
        Reply("Wet stacking is soot in the exhaust of a diesel that runs lightly [1].")
    ]
    page = browse(NARROW, dark=dark)
    page.until(lambda: page.all(".offer"))
    page.ask("What is wet stacking?")
    page.wait_for_answers(1)
    shade = "dark" if dark else "light"
    page.screenshot(f"phone-{shade}-chat")
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
    page.click("#turns .cite")
    page.until(lambda: page.all("mark") and page.one("mark").is_displayed())
    page.screenshot(f"phone-{shade}-passage")
    page.run("document.activeElement.dispatchEvent("
             "new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))")  # fmt: skip
    page.until(lambda: not page.one("#evidence").is_displayed())
    page.click("[data-drawer=library]")
    page.until(lambda: page.one("#documents").is_displayed())
    page.screenshot(f"phone-{shade}-documents")


def test_without_a_model_the_page_quotes_and_connects_one(
    browse: Callable[..., Browser], model: OpenAIServer, tmp_path: Path
) -> None:
    own = RunningApp(tmp_path / "storage", ["ui", "--no-open", "--port", "0"])
    try:
        page = browse(address=own.page)
        assert "No language model is connected" in page.text("#banner")
        page.until(lambda: page.all(".offer"), "the samples did not come", 60)
        page.screenshot("welcome")
        page.click(".offer")
        assert "Chlorine" in page.wait_for_answers(1)[0]
        page.click("#turns .cite")
        page.until(lambda: page.all("mark"))
        page.screenshot("chat")
        dark = browse(address=own.page, dark=True)
        dark.until(lambda: dark.all(".offer"))
        dark.click(".offer")
        dark.wait_for_answers(1)
        dark.screenshot("dark")

        dark.click("#banner [data-opens=connect-model]")
        dark.until(lambda: dark.one("#connect-model [name=address]").is_displayed())
        dark.run("document.querySelector('#connect-model [name=address]').value = arguments[0]",
                 f"{model.url}/nothing")  # fmt: skip
        dark.one("#connect-model [name=key]").send_keys("sk-of-mine")
        dark.click("#connect-model [data-send=models]")
        dark.until(lambda: dark.all("#connect-model .error"), "no error was shown")
        dark.screenshot("connect-error")
        dark.run("document.querySelector('#connect-model [name=address]').value = arguments[0]",
                 model.url)  # fmt: skip
        dark.click("#connect-model [data-send=models]")
        dark.until(lambda: dark.all("#connect-model option"), "no models were listed")
        assert dark.run("return document.documentElement.outerHTML.includes('sk-of-mine')") is False
        dark.screenshot("connect-model")
        model.replies = [Reply("Yes."), Reply("It is read by a model [1].")]
        dark.click("#connect-model [value=use]")
        dark.until(lambda: "Connected" in dark.text("#connect-model"), "it was not connected")
        dark.screenshot("connected")
        dark.click("#connect-model [value=cancel]")
        dark.until(lambda: model.model in dark.text(".pill"))
        dark.ask("How salty is the sea?")
        assert "It is read by a model" in dark.wait_for_answers(2)[1]
        key = tmp_path / "storage" / "connection.key"
        assert (key.read_text(), key.stat().st_mode & 0o777) == ("sk-of-mine", 0o600)
    finally:
        own.stop()


def _growing(page: Browser) -> list[str]:
    """The different states of the running answer, until it is finished."""
    states: list[str] = []

    def finished() -> bool:
        text = page.run(
            "const a = document.querySelector('#live .answer:not(:has(.waiting))');"
            "return a ? a.textContent.trim() : ''"
        )
        if text and text not in states:
            states.append(text)
        return bool(page.answers())

    page.until(finished, "the answer did not end")
    return states


def test_the_page_of_the_api_is_drawn_by_this_server_alone(
    browse: Callable[..., Browser], app: RunningApp
) -> None:
    page = browse()
    page.driver.get(f"{app.address}/docs")
    page.until(lambda: len(page.all(".opblock")) > 30, "the routes are not shown", 30)
    assert "/api/collections/{collection}/ask" in page.text("#swagger-ui").replace("\u200b", "")
    _only_from(page, app.address)
    assert page.complaints() == []
    page.screenshot("api")


def _only_from(page: Browser, address: str) -> None:
    foreign = [url for url in page.requested() if not url.startswith((address, "data:", "blob:"))]
    assert foreign == []
    assert page.requested()
