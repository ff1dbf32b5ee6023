import re

from tests.conftest import REPOSITORY
from tests.scheduling import ENGINES, LONGEST, rank

ENGINE = re.compile(r"\b(chat|reasonir|stock|causal)_server\b")


def test_every_file_that_asks_a_shared_engine_runs_beside_the_others() -> None:
    asking = {
        file.relative_to(REPOSITORY).as_posix()
        for file in (REPOSITORY / "tests").rglob("test_*.py")
        if ENGINE.search(file.read_text("utf-8"))
    }
    assert asking == set(ENGINES), "tests/scheduling.py names them"


def test_long_files_are_there_and_are_begun_before_all_others() -> None:
    assert all((REPOSITORY / file).is_file() for file in LONGEST)
    others = ["tests/data/test_bags.py::test_x", "tests/ui/test_guard.py::test_y"]
    tests = [f"{file}::test_a[b::c]" for file in LONGEST]
    assert sorted([*others, *reversed(tests)], key=rank) == [*tests, *others]
