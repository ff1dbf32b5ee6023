import pytest

from rag_app.assembly import application as assembly
from rag_app.collections.ownership import Ownership
from rag_app.errors import StorageInUse
from rag_app.probes.base import Problem
from rag_app.probes.indexes import indexes
from rag_app.settings import override
from rag_app.web.api import Access
from tests.rag_app.served import address_of, listening, serving
from tests.rag_app.support import prose, twin, write


@pytest.fixture
async def papers(settings, encoder, tmp_path):
    """A collection of that name, closed."""
    application, _ = assembly.open_application(settings)
    await application.ingest("papers", [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.close()


async def test_an_empty_storage_has_nothing_that_does_not_fit(settings, encoder):
    assert (await indexes(settings)).startswith("0 collections, 0 passages, fingerprint ")
    Ownership(settings.storage.path).release()
    assert encoder.closed


async def test_collections_that_fit_are_counted(settings, papers):
    found = await indexes(settings)
    assert found.startswith("1 collections, ")
    assert " 0 passages" not in found


async def test_another_chunker_names_the_command_that_builds_anew(settings, papers):
    with pytest.raises(Problem) as problem:
        await indexes(override(settings, {"chunking": {"tokens": 48}}))
    assert problem.value.message.startswith("papers: no index for these settings (")
    assert "hashing" in problem.value.cause
    assert problem.value.hint.startswith("`rag-app collections rebuild papers`")


async def test_another_encoder_names_the_command_that_adds_its_index(settings, papers, monkeypatch):
    monkeypatch.setattr(assembly, "encoder", lambda *_: twin("other"))
    with pytest.raises(Problem) as problem:
        await indexes(settings)
    assert problem.value.hint == "`rag-app indexes build --encoder other -c papers`"


async def test_the_named_command_helps(settings, papers, monkeypatch):
    monkeypatch.setattr(assembly, "encoder", lambda *_: twin("other"))
    application, _ = assembly.open_application(settings)
    await application.build_index("papers", None)
    await application.close()
    assert (await indexes(settings)).startswith("1 collections, ")


async def test_documents_that_an_index_lacks_are_told_with_the_command(
    settings, papers, encoder, monkeypatch, tmp_path
):
    made = {"minilm": encoder, "hashing": encoder, "other": twin("other")}
    monkeypatch.setattr(assembly, "encoder", lambda _, name="minilm": made[name])
    application, _ = assembly.open_application(settings)
    await application.build_index("papers", "other")
    await application.ingest("papers", [write(tmp_path / "more", {"b.txt": prose("b")})])
    await application.close()
    assert "lacks" not in await indexes(settings)
    made["minilm"] = made["other"]
    assert "papers lacks documents: `rag-app indexes build -c papers`" in await indexes(settings)


async def test_a_storage_that_another_command_owns_cannot_be_asked(settings, encoder):
    ownership = Ownership(settings.storage.path)
    try:
        with pytest.raises(StorageInUse, match="in use"):
            await indexes(settings)
    finally:
        ownership.release()


async def test_the_application_that_owns_the_storage_is_asked(settings, papers):
    application, ownership = assembly.open_application(settings)
    assert ownership
    listener = listening()
    access = Access(ownership.announce(address_of(listener)))
    async with serving(application, access, listener=listener):
        assert (await indexes(settings)).startswith("1 collections, ")
        with pytest.raises(Problem, match="papers"):
            await indexes(override(settings, {"chunking": {"tokens": 48}}))
