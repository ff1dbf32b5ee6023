"""What killed drops, rebuilds and restores leave is gone after the next start."""

import os
import shutil

from rag_app.assembly import application as assembly
from rag_app.collections.leftovers import leftovers, mark_provisional, sweep_old
from tests.rag_app.support import prose, write


async def held(settings, folder, *names):
    application, _ = assembly.open_application(settings)
    for name in names:
        await application.ingest(name, [folder])
    await application.close()
    return settings.storage.path


def everything(storage):
    return sorted(
        str(path.relative_to(storage))
        for place in ("collections", "files")
        for path in (storage / place).rglob("*")
    )


async def test_a_dropped_collection_is_gone_with_its_originals(settings, encoder, tmp_path):
    storage = await held(settings, write(tmp_path / "in", {"a.txt": prose("a")}), "c")
    application, _ = assembly.open_application(settings)
    await application.drop_collection("c")
    await application.close()
    assert everything(storage) == []


async def test_what_kills_leave_is_counted_and_swept_at_the_next_start(settings, encoder, tmp_path):
    folder = write(tmp_path / "in", {"a.txt": prose("a")})
    storage = await held(settings, folder, "kept", "dropped")
    whole = [path for path in everything(storage) if "kept" in path]
    (storage / "collections" / ".scratch-x").mkdir()
    shutil.move(storage / "collections" / "dropped", storage / "collections" / ".scratch-x")
    mark_provisional(storage / "files" / "dropped")
    (storage / "collections" / "kept" / ".scratch-y" / "shard").mkdir(parents=True)
    (storage / "collections" / "kept" / ".scratch-y" / "shard" / "f").write_bytes(b"x" * 9000)
    (storage / "files" / "kept" / ".0a.part").write_bytes(b"x" * 9000)

    size, orphans = leftovers(storage, assembly.collections(settings))
    assert size > 18_000
    assert orphans == []
    await held(settings, folder)
    assert everything(storage) == whole
    assert leftovers(storage, assembly.collections(settings)) == (0, [])


async def test_originals_whose_indexes_were_moved_away_stay_and_are_named(
    settings, encoder, tmp_path
):
    folder = write(tmp_path / "in", {"a.txt": prose("a")})
    storage = await held(settings, folder, "c")
    shutil.move(storage / "collections" / "c", tmp_path / "away")
    await held(settings, folder)
    assert leftovers(storage, assembly.collections(settings)) == (0, [str(storage / "files" / "c")])


async def test_drafts_of_a_killed_restore_go_and_a_whole_collection_without_a_name_stays(
    settings, encoder, tmp_path
):
    folder = write(tmp_path / "in", {"a.txt": prose("a")})
    storage = await held(settings, folder, "c")
    places = assembly.collections(settings)
    kit_spec = assembly.open_application(settings)
    spec = kit_spec[0]._spec
    await kit_spec[0].close()
    places.draft("new", spec, "0123abcd").close()
    places.draft("c", spec, "0123abcd").close()
    (storage / "collections" / "c" / "active").unlink()
    await held(settings, folder)
    assert not (storage / "collections" / "new").exists()
    assert places.names() == ["c"]


async def test_while_others_work_only_what_is_old_is_swept(settings, encoder, tmp_path):
    storage = await held(settings, write(tmp_path / "in", {"a.txt": prose("a")}), "c")
    whole = everything(storage)
    for name in ("old", "new"):
        (storage / "collections" / f".scratch-{name}" / "shard").mkdir(parents=True)
        (storage / "collections" / f".scratch-{name}" / "shard" / "f").write_bytes(b"x")
        (storage / "files" / "c" / f".{name}.part").write_bytes(b"x")
    fresh = everything(storage)
    sweep_old(storage)
    assert everything(storage) == fresh
    for path in (*storage.rglob("*old*"), *storage.glob("collections/.scratch-old/**/*")):
        os.utime(path, (0, 0))
    sweep_old(storage)
    assert everything(storage) == [one for one in fresh if "old" not in one]
    await held(settings, tmp_path / "in")
    assert everything(storage) == whole


async def test_uploads_count_once_they_have_waited_for_long(settings, encoder, tmp_path):
    storage = await held(settings, write(tmp_path / "in", {"a.txt": prose("a")}), "c")
    upload = storage / "uploads" / "visitor-local" / ("0" * 32)
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"x" * 9000)
    assert leftovers(storage, assembly.collections(settings)) == (0, [])
    os.utime(upload, (0, 0))
    assert leftovers(storage, assembly.collections(settings))[0] >= 9000
