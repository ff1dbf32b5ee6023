"""What only embedded collections do; what all do is in test_contract."""

import pytest

from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.errors import StoreError
from tests.retrieval.index.places import OTHER_SPEC, SPEC, TEXTS, ingest


@pytest.fixture
def collections(tmp_path):
    return EdgeCollections(tmp_path / "index")


def test_nothing_is_made_before_the_first_collection(collections):
    assert collections.names() == []
    assert not collections.root.exists()


def test_a_version_lies_in_a_folder_named_by_its_fingerprint(collections):
    collections.create("docs", SPEC).close()
    assert (collections.root / "docs" / "active").read_text() == SPEC.fingerprint
    assert sorted(path.name for path in (collections.root / "docs").iterdir()) == sorted(
        ["active", SPEC.fingerprint]
    )


def test_a_folder_that_is_open_elsewhere_is_refused_with_the_hint(collections):
    first = collections.create("docs", SPEC)
    with pytest.raises(StoreError, match=r"cannot be opened.*Close the other program"):
        collections.open("docs", SPEC)
    first.close()
    collections.open("docs", SPEC).close()


def test_a_damaged_folder_is_refused_with_the_hint(collections):
    collections.create("docs", SPEC).close()
    for path in (collections.root / "docs" / SPEC.fingerprint).iterdir():
        if path.is_file():
            path.write_bytes(b"\0")
    with pytest.raises(StoreError, match="restore it from a backup"):
        collections.open("docs", SPEC)


def test_a_crash_while_a_version_is_made_leaves_no_collection(collections, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("retrieval.index.edge_collections.create_shard", crash)
        with pytest.raises(KeyboardInterrupt):
            collections.create("docs", SPEC)
    assert collections.names() == []
    store = collections.create("docs", SPEC)
    assert len(ingest(store)) == len(TEXTS)
    store.close()


@pytest.mark.parametrize("act", ["stage", "discard"])
def test_making_or_deleting_a_version_sweeps_what_crashes_left(collections, act):
    collections.create("docs", SPEC).close()
    left = {"active", SPEC.fingerprint}
    if act == "discard":
        collections.stage("docs", OTHER_SPEC).close()
    (collections.root / "docs" / ".scratch-abc" / "shard").mkdir(parents=True)
    if act == "stage":
        collections.stage("docs", OTHER_SPEC).close()
        left.add(OTHER_SPEC.fingerprint)
    else:
        collections.discard("docs", OTHER_SPEC.fingerprint)
    assert {path.name for path in (collections.root / "docs").iterdir()} == left


def test_a_crash_while_a_version_is_deleted_leaves_no_half_of_it(collections, monkeypatch):
    collections.create("docs", SPEC).close()
    collections.stage("docs", OTHER_SPEC).close()

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("retrieval.index.edge_collections.shutil.rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            collections.discard("docs", OTHER_SPEC.fingerprint)
    assert collections.versions("docs") == [SPEC.fingerprint]


def test_dropping_leaves_nothing_in_the_folder(collections):
    collections.create("docs", SPEC).close()
    collections.drop("docs")
    assert list(collections.root.iterdir()) == []


def test_files_of_others_are_no_collections(collections):
    collections.create("docs", SPEC).close()
    (collections.root / "notes").mkdir()
    (collections.root / "readme.txt").write_text("x")
    assert collections.names() == ["docs"]


def test_an_edition_lies_beside_the_first_until_one_rename_switches(collections):
    collections.create("docs", SPEC).close()
    folder = collections.root / "docs"
    collections.draft("docs", SPEC, "00c0ffee").close()
    draft = f"00c0ffee.{SPEC.fingerprint}"
    assert {path.name for path in folder.iterdir()} == {"active", SPEC.fingerprint, draft}
    collections.adopt("docs", "00c0ffee", SPEC.fingerprint)
    assert (folder / "active").read_text() == draft
    assert {path.name for path in folder.iterdir()} == {"active", draft}


def test_drafts_that_crashes_left_are_swept_by_the_next(collections):
    for edition in ("0000000a", "0000000b"):
        collections.draft("docs", SPEC, edition).close()
    left = [path.name for path in (collections.root / "docs").iterdir()]
    assert left == [f"0000000b.{SPEC.fingerprint}"]
    collections.abandon("docs", "0000000b")
    assert list(collections.root.iterdir()) == []
