"""Taking documents in from the command line, over one encoder or several, here or on Ray."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rag_app.command import rag_app
from tests.rag_app.support import prose, write


def document(*arguments: str | Path, storage: Path, status: int = 0, **more: Any) -> Any:
    done = rag_app(*arguments, "--json", storage=storage, **more)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path):
    files = {f"{name}.txt": prose(name, 24) for name in "abc"}
    return write(tmp_path / "in", {**files, "broken.pdf": "no PDF"})


@pytest.mark.slow
def test_ray_takes_in_what_the_local_engine_would(tmp_path, folder):
    more = {
        "RAG_APP_RAY__CPUS_PER_ACTOR": "0.5",  # leaves room for the parser on one core
        "PYTHONWARNINGS": "ignore",  # Ray warns of its own parts
        "network": True,  # on loopback
    }
    by_ray = ("ingest", folder, "--engine", "ray")
    report = document(*by_ray, storage=tmp_path / "s", status=3, **more)
    counts = {"added": 3, "updated": 0, "unchanged": 0, "removed": 0, "failed": 1}
    assert report["documents"] == counts
    again = document("ingest", folder, storage=tmp_path / "s", status=3)
    assert again["documents"] == {**counts, "added": 0, "unchanged": 3}


def test_two_encoders_are_compared_over_the_same_documents(tmp_path, folder, tiny_reasonir):
    storage, config = tmp_path / "storage", tmp_path / "config.toml"
    config.write_text(f'[encoders.reasonir-8b]\nmodel = "{tiny_reasonir}"\naccept_license = true\n')
    rag_app("ingest", folder, storage=storage)
    common = ("--config", config)
    refused = rag_app(*common, "search", "x", "--encoder", "reasonir-8b", storage=storage)
    assert refused.returncode == 1
    command = "rag-app indexes build --encoder reasonir-8b -c default"
    assert command in refused.stderr
    built = document(*common, *command.split()[1:], storage=storage)
    assert built["documents"]["added"] == 3
    listed = document("indexes", "list", storage=storage)["indexes"]
    assert {(i["encoder"], i["active"], i["behind"]) for i in listed} == {
        ("minilm", True, 0), ("reasonir-8b", False, 0),
    }  # fmt: skip
    compared = document(
        *common, "compare", "harbour", "--systems", "bm25,hybrid,reasonir-8b", storage=storage
    )
    assert list(compared["systems"]) == ["bm25", "hybrid", "dense@reasonir-8b"]
    assert len(compared["overlap"]) == 3
    assert {name for p in compared["passages"] for name in p["ranks"]} == set(compared["systems"])
    shown = rag_app(*common, "compare", "harbour", "--systems", "bm25,dense", storage=storage)
    assert "rank-biased overlap" in shown.stdout
    document("indexes", "use", "reasonir-8b", storage=storage)
    document("indexes", "drop", "minilm", storage=storage)
    (left,) = document("indexes", "list", storage=storage)["indexes"]
    assert (left["encoder"], left["active"]) == ("reasonir-8b", True)


def test_systems_that_cannot_be_compared_are_named(tmp_path):
    done = rag_app("compare", "x", "--systems", "bm25,magic", storage=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'magic'" in done.stderr
    assert "minilm" in done.stderr
