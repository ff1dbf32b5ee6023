import pytest

from data.errors import DataError, RagAppError
from generation.errors import GenerationError
from rag_app.errors import ApplicationError, SettingsError, StorageInUse
from retrieval.errors import RetrievalError


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "no oil"),
        ({"cause": "the tank leaks"}, "no oil: the tank leaks"),
        ({"hint": "Fill it"}, "no oil. Fill it"),
        ({"cause": "the tank leaks", "hint": "Mend it"}, "no oil: the tank leaks. Mend it"),
    ],
)
def test_an_error_reads_as_message_cause_and_hint(parts, line):
    assert str(ApplicationError("no oil", **parts)) == line


@pytest.mark.parametrize(
    "family",
    [ApplicationError, DataError, GenerationError, RetrievalError, SettingsError, StorageInUse],
)
def test_faces_catch_the_errors_of_every_folder_by_one_base(family):
    assert issubclass(family, RagAppError)
    assert {"message", "cause", "hint"} <= vars(family("m")).keys()
