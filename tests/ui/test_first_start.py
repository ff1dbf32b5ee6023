from pathlib import Path

from rag_app.assembly.application import open_application
from rag_app.service import Service
from rag_app.settings import load_settings
from ui.first_start import EXAMPLES, SAMPLES, FirstStart


def application(storage: Path) -> Service:
    return open_application(load_settings(overrides={"storage": {"path": storage}}))[0]


async def test_samples_are_taken_in_once_and_answer_the_examples(tmp_path: Path) -> None:
    service = application(tmp_path)
    try:
        start = FirstStart(service, samples=True)
        assert not start.done()
        await start.run()
        assert start.done()
        assert start.report is not None
        assert start.report.added >= 12
        assert not start.report.failures
        for question in EXAMPLES:
            assert (await service.search(SAMPLES, question)).hits
        again = FirstStart(service, samples=True)
        await again.run()
        assert again.report is None
    finally:
        await service.close()


async def test_without_the_wish_nothing_is_taken_in(tmp_path: Path) -> None:
    service = application(tmp_path)
    try:
        await FirstStart(service, samples=False).run()
        assert await service.collections() == []
    finally:
        await service.close()
