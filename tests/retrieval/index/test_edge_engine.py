"""The embedded engine's failures and its hunger for disk space, on real files."""

import shutil

import pytest

from retrieval.index.edge import EdgeStore, create_shard
from retrieval.index.edge_engine import require_room
from retrieval.index.errors import DamagedIndex, DiskFull
from tests.retrieval.index.places import SPEC, embedding, ingest, vector

EVERYTHING = 1 << 60
"""More bytes than any disk has."""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "docs" / SPEC.fingerprint
    create_shard(path, SPEC)
    store = EdgeStore(path, SPEC)
    ingest(store)
    store.flush()
    store.close()
    return path


def test_room_is_measured_where_the_folder_will_lie(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path / "not" / "yet", free // 2)
    with pytest.raises(
        DiskFull, match=r"the disk of .*yet is full: \d+ MB are free, .*min_free_mb"
    ):
        require_room(tmp_path / "not" / "yet", EVERYTHING)
    with pytest.raises(DiskFull, match="are needed"):
        require_room(tmp_path, 0, EVERYTHING)


def test_no_shard_is_made_on_a_full_disk(tmp_path):
    with pytest.raises(DiskFull):
        create_shard(tmp_path / "shard", SPEC, EVERYTHING)
    assert list(tmp_path.iterdir()) == []


def test_every_write_is_refused_on_a_full_disk_and_searches_go_on(folder):
    store = EdgeStore(folder, SPEC, EVERYTHING)
    nodes = [node for batch in store.passages() for node in batch]
    for node in nodes:
        node.embedding = embedding(node.text)
    copies = [one for batch in store.dump() for one in batch]
    record = store.record("a.txt")
    writes = [
        lambda: store.add(nodes),
        lambda: store.restore(copies),
        lambda: store.reweigh([copies[0].id], [copies[0].sparse]),
        lambda: store.put_record(record),
        lambda: store.put_collection(store.collection()),
        lambda: store.delete("a.txt"),
        lambda: store.delete_version(record.version),
        lambda: store.delete_record("a.txt"),
        lambda: store.require_room(1),
        store.optimize,
    ]
    for write in writes:
        with pytest.raises(DiskFull):
            write()
    assert store.dense(vector(nodes[0].text), 1)[0][0] == nodes[0].node_id
    assert store.sparse(SPEC.bm25.encode_query("mice"), 10)
    store.close()


@pytest.mark.parametrize("kind", ["deleted", "empty", "half", "noise"])
def test_damaged_files_raise_what_can_be_handled(folder, kind):
    hurt = 0
    for part in ("payload_storage", "vector_storage-dense", "vector_storage-bm25", "wal"):
        copy = folder.with_name(f"{kind}-{part}")
        shutil.copytree(folder, copy)
        for file in [path for path in copy.rglob("*") if path.is_file() and part in str(path)]:
            size = file.stat().st_size
            if kind == "deleted":
                file.unlink()
            elif kind == "noise":
                file.write_bytes(b"\xa5\x5a\xff\x01" * (min(size, 1 << 20) // 4))
            else:
                with file.open("r+b") as opened:
                    opened.truncate(size // 2 if kind == "half" else 0)
        try:
            store = EdgeStore(copy, SPEC)
            list(store.dump())
            store.close()
        except DamagedIndex as error:
            assert "rag-app collections repair docs" in error.hint
            assert error.cause
            hurt += 1
    assert hurt >= 2


def test_missing_passages_are_noticed_at_once(folder):
    store = EdgeStore(folder, SPEC)
    store.delete_version(store.record("a.txt").version)
    store.close()
    with pytest.raises(DamagedIndex, match="it holds 0 of 8 passages"):
        EdgeStore(folder, SPEC)
