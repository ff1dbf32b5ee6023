"""Under what a run was made: versions, machine, model server, indexes, command."""

import asyncio
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx

from data.secrets import Concealer
from rag_app.results import IndexInfo
from rag_app.settings import LLMSettings, Settings

_PACKAGES = (
    "rag-app", "datasets", "llama-index-core", "llama-index-llms-openai-like", "numpy",
    "onnxruntime", "openai", "qdrant-client", "qdrant-edge-py", "rank-bm25", "scipy", "tokenizers",
    "torch", "transformers", "vllm",
)  # fmt: skip
_PATIENCE = 10.0


async def environment(
    settings: Settings, command: Sequence[str], indexes: Mapping[str, Sequence[IndexInfo]]
) -> dict[str, Any]:
    """What `env.json` holds; whatever cannot be found out is None, or says why."""
    commit, gpu, server = await asyncio.gather(
        asyncio.to_thread(_commit), asyncio.to_thread(_gpu), _server(settings.llm)
    )
    return {
        "command": [*map(Concealer(settings), command)],
        "commit": commit,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpu": gpu,
        "packages": {name: _version(name) for name in _PACKAGES},
        "server": server,
        "indexes": {name: [asdict(index) for index in found] for name, found in indexes.items()},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of the checkout this file is in, with ``+changes`` where files differ from it."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    commit = _output_of("git", "-C", str(folder), "rev-parse", "HEAD")
    changed = _output_of("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if commit and changed else commit


def _gpu() -> str | None:
    if "torch" in sys.modules:  # never imported for this: it takes seconds
        torch = sys.modules["torch"]
        return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    if shutil.which("nvidia-smi"):
        return _output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return None


def _output_of(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


async def _server(settings: LLMSettings) -> dict[str, Any] | None:
    """What the language model's server says that it runs."""
    if not settings.model:
        return None
    key = settings.api_key.get_secret_value()
    server: dict[str, Any] = {"address": Concealer(settings)(settings.api_base)}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as client:
            address = f"{settings.api_base.rstrip('/')}/models"
            response = await client.get(address, headers={"Authorization": f"Bearer {key}"})
            response.raise_for_status()
            models = response.json()["data"]
            server["models"] = [
                {name: model[name] for name in ("id", "root", "max_model_len") if name in model}
                for model in models
                if model["id"] == settings.model
            ] or [{"id": model["id"]} for model in models]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        server["error"] = str(error) or type(error).__name__
    return server
