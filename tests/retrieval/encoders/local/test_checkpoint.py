"""Files of models: found, told apart, refused, and never fetched where they are at hand."""

import hashlib
import json
import shutil
import socket
import time
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from retrieval.encoders.errors import EncoderUnavailableError, ModelMismatchError, ModelMissingError
from retrieval.encoders.local.checkpoint import (
    digest,
    hub_folder,
    load_network,
    local_folder,
    pick_device,
    pick_dtype,
    require_files,
)
from retrieval.encoders.local.network import Network
from retrieval.encoders.local.tokenising import Tokeniser
from retrieval.encoders.registry import built_in

ROW = built_in()["reasonir-8b"].model_copy(update={"dimension": 64})
COMMIT = "0123456789" * 4


@pytest.fixture
def folder(tmp_path: Path, tiny_reasonir: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_reasonir, tmp_path / "model"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""

    def refuse(*_: object) -> None:
        raise OSError("this test has no network")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the hub's client waits before each retry
    return tmp_path / "hub"


def load(folder: Path) -> Network:
    return load_network(folder, ROW, Tokeniser(folder), "cpu", "auto")


def change(folder: Path, **fields: object) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | fields), "utf-8")


def test_a_folder_is_told_from_a_hub_id(tmp_path: Path) -> None:
    assert local_folder(tmp_path) == tmp_path
    assert local_folder(str(tmp_path)) == tmp_path
    assert local_folder("reasonir/ReasonIR-8B") is None


@pytest.mark.parametrize("model", ["./absent", "/absent", "absent", "a/b/c", Path("owner/absent")])
def test_an_unknown_folder_is_named(model: str | Path) -> None:
    with pytest.raises(ModelMissingError, match=r"no model in .*absent|a/b/c.*does not exist"):
        local_folder(model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelMissingError, match=f"it has no {name}"):
        require_files(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {n: f"model-0000{n}-of-00002.safetensors" for n in "12"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelMissingError, match=r"it has no model-00002-of-00002\.safetensors"):
        require_files(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelMissingError, match=r"no model\.safetensors.* such as \.bin, can run"):
        require_files(folder)


def test_cached_files_are_found_without_network(cache: Path, tiny_reasonir: Path) -> None:
    snapshot = cache / "models--owner--model" / "snapshots" / COMMIT
    shutil.copytree(tiny_reasonir, snapshot)
    assert hub_folder("owner/model", COMMIT) == snapshot


def test_cached_files_of_another_revision_do_not_serve(cache: Path, tiny_reasonir: Path) -> None:
    shutil.copytree(tiny_reasonir, cache / "models--owner--model" / "snapshots" / ("f" * 40))
    with pytest.raises(ModelMissingError, match=COMMIT):
        hub_folder("owner/model", COMMIT)


def test_weights_pinned_by_their_digest_must_have_it(cache: Path, tiny_reasonir: Path) -> None:
    place = cache / "models--owner--model"
    shutil.copytree(tiny_reasonir, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT, "utf-8")
    content = (tiny_reasonir / "model.safetensors").read_bytes()
    pinned = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert hub_folder("owner/model", pinned) == place / "snapshots" / COMMIT
    with pytest.raises(ModelMismatchError, match="not sha256:0000"):
        hub_folder("owner/model", "sha256:0000")


def test_a_missing_model_is_named_with_the_command_that_gets_it(cache: Path) -> None:
    with pytest.raises(ModelMissingError) as raised:
        hub_folder("owner/model", COMMIT)
    assert f"owner/model at {COMMIT} are not on this machine" in raised.value.message
    assert "could not be downloaded" in raised.value.cause
    assert f"`hf download owner/model --revision {COMMIT}`" in raised.value.hint


def test_half_a_download_is_not_taken_for_the_model(cache: Path, tiny_reasonir: Path) -> None:
    snapshot = cache / "models--owner--model" / "snapshots" / COMMIT
    shutil.copytree(tiny_reasonir, snapshot)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelMissingError):
        hub_folder("owner/model", COMMIT)
    assert hub_folder("owner/model", COMMIT, weights=False) == snapshot


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_digest_tells_files_apart_and_not_their_place(
    folder: Path, tiny_reasonir: Path, name: str
) -> None:
    assert digest(folder) == digest(tiny_reasonir)
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    assert digest(folder) != digest(tiny_reasonir)


def test_published_fields_that_ask_for_remote_code_are_ignored(folder: Path) -> None:
    (folder / "modeling.py").write_text("raise SystemExit", "utf-8")
    change(folder, auto_map={"AutoModel": "modeling.ReasonIRModel"}, architectures=["Elsewhere"])
    network = load(folder)
    assert type(network.model).__name__ == "LlamaModel"
    assert network.packed
    assert network.dtype == torch.float32


def test_weights_that_are_missing_are_not_made_up(folder: Path) -> None:
    change(folder, num_hidden_layers=3)
    with pytest.raises(ModelMismatchError, match=r"9 are missing, .*layers\.2"):
        load(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    change(folder, intermediate_size=100)
    with pytest.raises(ModelMismatchError, match="6 have another shape"):
        load(folder)


def test_a_damaged_weights_file_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelMismatchError, match="cannot be loaded"):
        load(folder)


def test_an_unknown_kind_of_model_is_refused(folder: Path) -> None:
    change(folder, model_type="unheard-of")
    with pytest.raises(ModelMismatchError, match="unheard-of"):
        load(folder)


def test_a_device_that_is_absent_is_refused() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    beyond = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(EncoderUnavailableError, match=rf"cannot run on {beyond}.*auto or cpu"):
        pick_device(beyond)


def test_the_dtype_goes_by_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    assert pick_dtype("auto", torch.device("cpu")) == "float32"
    assert pick_dtype("auto", torch.device("mps")) == "float32"
    assert pick_dtype("bfloat16", torch.device("cpu")) == "bfloat16"
    for has, expected in ((True, "bfloat16"), (False, "float16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert pick_dtype("auto", cuda) == expected
