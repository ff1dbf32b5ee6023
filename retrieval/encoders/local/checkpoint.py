"""The files of a model: where they are, which ones they are, and how they become a network."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data.files import sha256
from retrieval.encoders.errors import EncoderUnavailableError, ModelMismatchError, ModelMissingError
from retrieval.encoders.local.downloading import OnBytes, download
from retrieval.encoders.local.forward import PACKED, packable, register_packed
from retrieval.encoders.local.network import Network
from retrieval.encoders.local.tokenising import Tokeniser
from retrieval.encoders.registry import EncoderRow

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "float32", "float16", "bfloat16"]

_log = logging.getLogger(__name__)

_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_EDGE = 64 * 1024


def local_folder(model: str | Path) -> Path | None:
    """The folder that `model` means; None where it is the id of a model on the Hugging Face hub.

    Raises:
        ModelMissingError: it can only be a folder, and there is none.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if isinstance(model, str) and _HUB_ID.fullmatch(model):
        return None
    raise ModelMissingError(
        f"there is no model in {folder}",
        cause="the folder does not exist",
        hint="Name a folder with config.json, tokenizer.json and safetensors, or a hub id",
    )


def hub_folder(model_id: str, revision: str, *, weights: bool = True) -> Path:
    """The files of a model of the hub: from the cache without any network, else downloaded.

    Args:
        revision: commit, tag or branch; or the `sha256:` digest of the weights, which `main` must
            then have.
        weights: False gets the small files alone.

    Raises:
        ModelMissingError: they are neither cached nor reachable; names the command to get them.
        ModelMismatchError: the weights have another digest.
    """
    folder = _hub_files(model_id, "main" if _is_digest(revision) else revision, weights=weights)
    if weights and _is_digest(revision):
        found = f"sha256:{sha256(folder / 'model.safetensors')}"
        if found != revision:
            raise ModelMismatchError(
                f"the weights of {model_id} are not the expected ones",
                cause=f"they have {found}, not {revision}",
                hint="Set the revision to the commit that is meant",
            )
    return folder


def is_cached(model_id: str, revision: str) -> bool:
    """Whether all files of a model of the hub are in its cache; no network is used."""
    revision = "main" if _is_digest(revision) else revision
    found = cached_snapshot(model_id, revision, [*_FILES, *_WEIGHTS], "*/*")
    return found is not None and not _lacking(found, weights=True)


def download_model(model_id: str, revision: str, on_bytes: OnBytes) -> None:
    """Get all files of a model of the hub into its cache; raises as `download`."""
    revision = "main" if _is_digest(revision) else revision
    download(model_id, revision, [*_FILES, *_WEIGHTS], on_bytes, "*/*")


def _is_digest(revision: str) -> bool:
    return revision.startswith("sha256:")


def _hub_files(model_id: str, revision: str, *, weights: bool) -> Path:
    files = [*_FILES, *_WEIGHTS] if weights else list(_FILES)
    return hub_snapshot(
        model_id, revision, files, partial(_lacking, weights=weights), ignored="*/*"
    )


def hub_snapshot(
    model_id: str,
    revision: str,
    files: Sequence[str],
    lacking: Callable[[Path], str],
    ignored: str | None = None,
) -> Path:
    """The folder of a model's files: from the hub's cache without any network, else downloaded.

    Args:
        lacking: the first file that a folder needs and lacks; empty if there is none.

    Raises:
        ModelMissingError: they are neither cached nor to be had; names the command to get them.
    """
    from huggingface_hub import snapshot_download

    cached = cached_snapshot(model_id, revision, files, ignored)
    if cached is not None and not lacking(cached):
        return cached
    _log.info("%s is not in the cache and is looked up on the hub", model_id)
    try:
        found = Path(
            snapshot_download(
                model_id, revision=revision, allow_patterns=list(files), ignore_patterns=ignored
            )
        )
    except (OSError, ValueError) as error:
        raise ModelMissingError(
            f"the files of {model_id} at {revision} are not on this machine",
            cause=f"they could not be downloaded: {str(error).splitlines()[0]}",
            hint="Get them where there is a network, with "
            f"`hf download {model_id} --revision {revision}`, or set `model` to a folder of them",
        ) from error
    if missing := lacking(found):
        raise incomplete(found, missing)
    return found


def cached_snapshot(
    model_id: str, revision: str, files: Sequence[str], ignored: str | None = None
) -> Path | None:
    """The folder of what the hub's cache has of a model; None where that is nothing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                model_id, revision=revision, allow_patterns=list(files), ignore_patterns=ignored,
                local_files_only=True,
            )
        )  # fmt: skip
    except LocalEntryNotFoundError:
        return None


def require_files(folder: Path, *, weights: bool = True) -> Path:
    """The folder itself, if all that is needed is in it.

    Raises:
        ModelMissingError: a file is missing, or the weights are in a format that can run code.
    """
    lacking = _lacking(folder, weights=weights)
    if lacking:
        raise incomplete(folder, lacking)
    return folder


def incomplete(folder: Path, lacking: str) -> ModelMissingError:
    """The error of a folder that lacks a file."""
    return ModelMissingError(
        f"the model in {folder} cannot be loaded",
        cause=f"it has no {lacking}",
        hint="Get the missing file; weights in other formats, such as .bin, can run code and "
        "are not loaded",
    )


def config_of(folder: Path, name: str = "config.json") -> Mapping[str, Any]:
    """What config.json, or another of a model's JSON files, says.

    Raises:
        ModelMismatchError: it is no JSON object.
    """
    path = folder / name
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelMismatchError(
            f"{path} cannot be read", cause=str(error), hint="Get it as it was published"
        ) from None
    if not isinstance(config, dict):
        raise ModelMismatchError(f"{path} cannot be read", cause="it holds no JSON object")
    return config


def digest(folder: Path) -> str:
    """A name for the files of a folder: `local:` and 16 hexadecimal digits.

    The SHA-256 of the small files, and of each weights file its size, header, and first and last
    64 KiB, so that 16 GB need not be read. Weights changed in between alone go unnoticed.
    """
    sha = hashlib.sha256()
    for path in sorted({folder / name for name in _FILES} | set(_weights(folder))):
        if path.is_file():
            sha.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            for piece in _pieces(path):
                sha.update(piece)
    return f"local:{sha.hexdigest()[:16]}"


def load_network(
    folder: Path, row: EncoderRow, tokeniser: Tokeniser, device: str, dtype: Dtype
) -> Network:
    """The model in `folder`, with attention and pooling as `row` has them.

    The class is chosen by the model type in config.json, never by `architectures` or `auto_map`,
    and no code of the checkpoint is run. A bidirectional row makes any stock decoder bidirectional
    by `config.is_causal = False`, which transformers 5 heeds; the test at load
    (`retrieval.encoders.local.self_test`) checks that it did.

    Raises:
        ModelMissingError: a file is missing.
        ModelMismatchError: the files do not make a model of the row's dimension.
        EncoderUnavailableError: the device is absent.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    where = pick_device(device)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        config.use_cache = False
        if not row.causal:
            config.is_causal = False
            config.sliding_window = None  # published bidirectional decoders see the whole text
        packed = packable(config)
        if packed:
            register_packed()
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, pick_dtype(dtype, where)),
            attn_implementation=PACKED if packed else "sdpa",
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # refused below, with the reason
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelMismatchError(
            f"the model in {folder} cannot be loaded",
            cause=str(error).splitlines()[0],
            hint="Get its files as they were published",
        ) from error
    # Weights that the files lack are random, and would give vectors all the same.
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing or report["mismatched_keys"]:
        raise ModelMismatchError(
            f"the weights in {folder} are not those that its config.json describes",
            cause=f"{len(missing)} are missing, such as {', '.join(missing[:1]) or 'none'}; "
            f"{len(report['mismatched_keys'])} have another shape",
            hint="Get its files as they were published",
        )
    try:
        model.eval().requires_grad_(requires_grad=False).to(where)
    except torch.OutOfMemoryError as error:
        raise EncoderUnavailableError(
            f"the model in {folder} does not fit into the memory of {where}",
            cause=str(error).splitlines()[0],
            hint="Free memory there, or set another device or dtype",
        ) from error
    return Network(
        model,
        packed=packed,
        pooling=row.pooling,
        normalise=row.normalise,
        pad_id=tokeniser.pad_id,
        pads_left=tokeniser.pads_left,
    )


def pick_device(device: str) -> "torch.device":
    """The device asked for; "auto" takes a GPU where there is one.

    Args:
        device: "auto", "cpu", "mps", "cuda", or one of several as "cuda:1".

    Raises:
        EncoderUnavailableError: there is none of that kind.
    """
    import torch

    there = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if device == "auto":
        return torch.device(next(name for name, count in there.items() if count))
    kind, _, number = device.partition(":")
    if int(number or 0) >= there[kind]:
        raise EncoderUnavailableError(
            f"the model cannot run on {device}",
            cause=f"torch {torch.__version__} finds no such device here",
            hint="Set device to auto or cpu, or install a torch built for it",
        )
    return torch.device(device)


def pick_dtype(dtype: Dtype, device: "torch.device") -> str:
    """The type asked for; "auto" takes bfloat16 on a GPU that has it, and float32 elsewhere.

    A GPU without bfloat16 takes float16.
    """
    import torch

    if dtype != "auto":
        return dtype
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


def _lacking(folder: Path, *, weights: bool) -> str:
    """The first file that is needed and not there; empty if there is none."""
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            return name
    if not weights:
        return ""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return next((name for name in sorted(shards) if not (folder / name).is_file()), "")
    return "" if (folder / "model.safetensors").is_file() else "model.safetensors"


def _weights(folder: Path) -> Iterator[Path]:
    for pattern in _WEIGHTS:
        yield from folder.glob(pattern)


def _pieces(path: Path) -> Iterator[bytes]:
    """A small file whole; of a weights file, its header, and its first and last bytes."""
    if path.suffix != ".safetensors":
        yield path.read_bytes()
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        file.seek(0)
        yield file.read(min(size, 8 + header + _EDGE))
        file.seek(max(0, size - _EDGE))
        yield file.read()
