import pytest

from data.errors import DataError
from generation.errors import GenerationError
from rag_app.errors import EXPECTED, ApplicationError, SettingsError, StorageInUse
from retrieval.errors import RetrievalError


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "no oil"),
        ({"cause": "the tank leaks"}, "no oil: the tank leaks"),
        ({"way_out": "Fill it"}, "no oil. Fill it"),
        ({"cause": "the tank leaks", "way_out": "Mend it"}, "no oil: the tank leaks. Mend it"),
    ],
)
def test_an_error_reads_as_message_cause_and_way_out(parts, line):
    assert str(ApplicationError("no oil", **parts)) == line


def test_faces_expect_the_family_of_every_folder():
    families = (ApplicationError, DataError, GenerationError, RetrievalError)
    assert set(EXPECTED) == set(families)
    assert all(issubclass(kind, ApplicationError) for kind in (SettingsError, StorageInUse))
    assert all({"message", "cause", "way_out"} <= vars(kind("m")).keys() for kind in families)
