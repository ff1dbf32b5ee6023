"""Progress counts what came, and keeps what it counts where other programs look."""

import asyncio

import pytest

from eval.runs import progress as module
from eval.runs.progress import Progress
from rag_app.results import Progress as Ingested


@pytest.fixture
def kept():
    return []


@pytest.fixture
def told():
    return []


@pytest.fixture
def progress(kept, told):
    return Progress(
        kept.append, 6, lambda r: r["arm"], lambda r: r["state"] == "ok" and r["right"], told.append
    )


def record(arm="rag", state="ok", right=True, **more):
    return {"arm": arm, "state": state, "right": right, "completion_tokens": 10, **more}


async def test_counts_accuracy_by_arm_unparsed_and_errors(progress, kept, told):
    progress.count_earlier(record())
    async with progress:
        assert kept[0]["state"] == "running"
        progress.count(record(right=False))
        progress.count(record("closed_book", state="unparsed"))
        progress.count(record("closed_book", state="error"))
        progress.count(record("closed_book", cached=True))
        await asyncio.sleep(0.01)
    last = kept[-1]
    assert last["state"] == "done"
    assert (last["done"], last["total"], last["errors"], last["unparsed"]) == (4, 6, 1, 1)
    assert last["accuracy"] == {"rag": 0.5, "closed_book": 0.5}
    assert last["tokens_per_second"] == pytest.approx(20 / last["seconds"], rel=0.1)
    assert last["eta"] == pytest.approx(last["seconds"] / 4, abs=0.1), "one is left, of four done"
    assert told[-1].startswith("4/6, rag 50.0%, closed_book 50.0%, 1 unparsed, 1 errors")


async def test_a_run_that_fails_says_why(progress, kept, told):
    with pytest.raises(ValueError, match="no luck"):
        async with progress:
            raise ValueError("no luck")
    assert (kept[-1]["state"], kept[-1]["message"]) == ("failed", "no luck")
    assert "no luck" not in told[-1], "whoever catches the error shows it"


async def test_documents_that_are_taken_in_are_told_of(progress):
    news = Ingested(1, 3, 70, 0.5, 10.0, "books.txt")
    progress.show_ingest(news)
    assert progress.summary().endswith("ingesting books.txt: 1 of 3 documents, 70 passages")


async def test_a_run_that_is_interrupted_says_so(progress, kept):
    with pytest.raises(asyncio.CancelledError):
        async with progress:
            raise asyncio.CancelledError
    assert (kept[-1]["state"], kept[-1]["message"]) == ("failed", "interrupted")


async def test_state_and_lines_come_while_nothing_else_happens(progress, kept, told, monkeypatch):
    for name in ("_REDRAW_S", "_SAVE_S", "_LOG_S"):
        monkeypatch.setattr(module, name, 0.01)
    async with progress:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if len(kept) > 2 and len(told) > 2:
                break
    assert len(kept) > 2
    assert len(told) > 2


async def test_what_is_not_judged_one_by_one_has_no_accuracy(kept):
    progress = Progress(kept.append, 2, lambda r: r["system"], write_line=lambda _: None)
    async with progress:
        progress.count({"system": "bm25", "state": "ok"})
    assert "accuracy" not in kept[-1]
    assert kept[-1]["done"] == 1


async def test_on_a_terminal_a_table_is_drawn(kept, monkeypatch):
    class Terminal:
        encoding, text = "utf-8", ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    monkeypatch.setattr(module.sys, "stderr", Terminal())
    monkeypatch.setattr(module, "_REDRAW_S", 0.01)
    progress = Progress(kept.append, 2, lambda r: r["arm"], lambda r: r["right"])
    async with progress:
        progress.count(record("closed_book"))
        for _ in range(500):
            await asyncio.sleep(0.01)
            if "100.0%" in module.sys.stderr.text:
                break
    assert "closed_book" in module.sys.stderr.text
    assert "accuracy" in module.sys.stderr.text
