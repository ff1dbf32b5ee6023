import pytest
from pydantic import ValidationError

from rag_app.remote.service import RemoteService
from rag_app.service import DEFAULT_OPTIONS, QueryOptions, Service
from rag_app.settings import load_settings, override


def test_options_that_were_not_chosen_change_no_setting():
    settings = load_settings()
    assert override(settings, DEFAULT_OPTIONS.overrides()) == settings


def test_every_option_reaches_its_setting():
    options = QueryOptions(
        encoder="reasonir-8b", retriever="dense", top_k=3, candidates=30, fusion="rrf", weight=0.1,
        rewrite="none", rerank="none", reader="llm", passages=2, sources=("a.txt",),
        model="another",
    )  # fmt: skip
    changed = override(load_settings(), options.overrides())
    found = changed.retrieval
    assert changed.encoder.name == "reasonir-8b"
    assert (found.retriever, found.top_k, found.candidates) == ("dense", 3, 30)
    assert (found.fusion, found.weight) == ("rrf", 0.1)
    assert (changed.reader.kind, changed.reader.passages) == ("llm", 2)
    told = options.overrides()
    reached = {value for section in told.values() for value in section.values()}
    of_no_setting = {"sources", "also"}  # which documents and collections are asked
    given = {value for key, value in options.model_dump().items() if key not in of_no_setting}
    assert reached == given, "an option that reaches no setting would be ignored in silence"


@pytest.mark.parametrize(
    "wrong", [{"top_k": 0}, {"weight": 1.1}, {"retriever": "magic"}, {"passages": -1}, {"k": 1}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        QueryOptions(**wrong)


def test_names_that_no_document_can_have_are_those_of_none():
    assert QueryOptions(sources=("a.txt", "\ud800")).sources == ("a.txt", "\ufffd")


async def test_both_ways_of_having_the_application_offer_every_call(application):
    remote = RemoteService("http://app", "token")
    calls = [name for name in vars(Service) if not name.startswith("_")]
    assert len(calls) > 20
    for name in calls:
        assert callable(getattr(application, name))
        assert callable(getattr(remote, name))
    await remote.close()
