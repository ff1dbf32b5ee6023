"""Which passages are asked about."""

import random
from collections import Counter

from eval.datasets.generated.questions import Place
from eval.datasets.generated.sampling import draw, fetch, survey
from tests.rag_app.support import prose, write


def places(documents: dict[str, int]) -> list[Place]:
    return [
        Place(source, None, 100 * at, 100 * at + 90)
        for source, count in documents.items()
        for at in range(count)
    ]


def test_every_document_has_its_turn_before_any_has_a_second() -> None:
    drawn = draw(places({"large": 50, "small": 2, "middle": 7}), seed=0)
    assert len(drawn) == 59
    assert {one.source for one in drawn[:3]} == {"large", "small", "middle"}
    assert Counter(one.source for one in drawn[:6]) == {"large": 2, "small": 2, "middle": 2}
    assert {one.source for one in drawn[16:]} == {"large"}


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    all_places = places({"a": 9, "b": 9})
    shuffled = random.Random(1).sample(all_places, len(all_places))  # noqa: S311
    assert draw(all_places, 0) == draw(shuffled, 0)
    assert draw(all_places, 0) != draw(all_places, 1)


async def test_a_survey_sees_long_passages_and_counts_terms(application, tmp_path) -> None:
    folder = write(tmp_path / "in", {"long.txt": prose("long", 3), "short.txt": "Harbour lantern."})
    await application.ingest("c", [folder])
    seen = await survey(application, "c", terms=str.split, shortest=5)
    assert {one.source for one in seen.places} == {"long.txt"}
    assert seen.passages == len(seen.places) + 1
    assert seen.frequency["lantern."] >= 1
    texts = await fetch(application, "c", seen.places[:1])
    assert [*texts] == seen.places[:1]
    assert texts[seen.places[0]].text
