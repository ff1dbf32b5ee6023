"""vLLM in the confinement that docker-compose.yml gives its engines, and where caches lie.

The build is the one for CPUs; the image's own can only be run where Docker is.
"""

import re
import shutil
import subprocess
import sys

import pytest

from tests.deployment.compose import environment
from tests.deployment.confinement import confined, writable
from tests.vllm_server import python

_SERVE_AND_ASK = """
import json, os, subprocess, sys, time, urllib.request
command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", sys.argv[1]]
server = subprocess.Popen([*command, *sys.argv[2:]])
def get(path, body=None):
    data, kind = body and json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:8000" + path, data, kind)
    request.add_header("Authorization", "Bearer " + os.environ["VLLM_API_KEY"])
    return urllib.request.urlopen(request, timeout=60).read()
while True:
    try:
        get("/health")
        break
    except OSError:
        assert server.poll() is None, "vLLM stopped at its start"
        time.sleep(0.2)
get("/v1/completions", {"model": sys.argv[1], "prompt": "one two", "max_tokens": 4})
server.terminate()
server.wait(30)
for folder in (os.path.expanduser("~"), "/opt", "/etc"):
    print(folder, os.access(folder, os.W_OK))
"""

# Where libraries write by default, as the installed ones say themselves.
_OF_THE_ENGINE = """
import os, tempfile
import huggingface_hub.constants as hub
import numba, torch.hub, torch.utils.cpp_extension
import torch._inductor.runtime.cache_dir_utils as inductor
import torch._inductor.runtime.cutedsl_cache as cutedsl
import vllm.envs as envs
from transformers.utils import hub as transformers_hub
from vllm.snapshot.runtime import _generated_cache_prefixes
from vllm.v1.structured_output.utils import get_outlines_cache_path
print(envs.VLLM_CACHE_ROOT, envs.VLLM_CONFIG_ROOT, envs.VLLM_ASSETS_CACHE, sep="\\n")
print(envs.VLLM_XLA_CACHE_PATH, envs.VLLM_RPC_BASE_PATH, tempfile.gettempdir(), sep="\\n")
print(*_generated_cache_prefixes(), get_outlines_cache_path(), sep="\\n")
print(inductor.cache_dir(), inductor.triton_cache_dir(0), cutedsl._cache_dir(), sep="\\n")
print(torch.hub.get_dir(), torch.utils.cpp_extension.get_default_build_root(), sep="\\n")
print(transformers_hub.HF_MODULES_CACHE, hub.HF_XET_CACHE, hub.HF_ASSETS_CACHE, sep="\\n")
print(numba.config.CACHE_DIR or tempfile.gettempdir())
print(*map(os.path.expanduser, ("~/.triton", "~/.nv", "~/.deep_gemm", "~/.cache")), sep="\\n")
"""
_OF_THE_APPLICATION = """
import os, tempfile
import huggingface_hub.constants as hub
from gradio.utils import get_upload_folder
from llama_index.core.utils import get_cache_dir
from ray._common.utils import get_default_ray_temp_dir
print(hub.HF_HUB_CACHE, hub.HF_XET_CACHE, hub.HF_ASSETS_CACHE, get_upload_folder(), sep="\\n")
print(get_cache_dir(), get_default_ray_temp_dir(), tempfile.gettempdir(), sep="\\n")
print(os.environ["RAG_APP_STORAGE__PATH"], os.path.expanduser("~/.cache"), sep="\\n")
"""


@pytest.fixture(autouse=True)
def _bubblewrap():
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is absent: apt-get install bubblewrap")


@pytest.mark.slow
def test_vllm_serves_from_a_read_only_root_with_the_declared_folders_alone(tmp_path, chat_model):
    sandbox = confined(tmp_path, "engine", "encoder")
    model = ["--ro-bind", str(chat_model), "/opt"]  # the sandbox has a /tmp of its own
    flags = ["--dtype", "float32", "--enforce-eager", "--kv-cache-memory-bytes", "67108864"]
    environment = ["--setenv", "TORCH_COMPILE_DISABLE", "1", "--setenv", "VLLM_PLUGINS", ""]
    environment += ["--setenv", "VLLM_API_KEY", "of-the-secret"]
    served = [python(), "-c", _SERVE_AND_ASK, "/opt", *flags, "--max-model-len", "256"]
    said = subprocess.run(
        [*sandbox, *model, *environment, *served], capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-3000:]
    assert said.stdout.splitlines()[-3:] == ["/home/engine True", "/opt False", "/etc False"]


def _unwritable(service: str, places: list[str]) -> list[str]:
    folders = writable(service)
    return [p for p in places if not any(f"{p}/".startswith(f"{folder}/") for folder in folders)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "service", "script", "count"),
    [
        ("engine", "encoder", _OF_THE_ENGINE, 24),
        ("app", "app", _OF_THE_APPLICATION, 9),
    ],
)
def test_every_cache_lies_in_a_folder_that_is_writable(tmp_path, image, service, script, count):
    interpreter = python() if image == "engine" else sys.executable
    said = subprocess.run(
        [*confined(tmp_path, image, service), interpreter, "-c", script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-3000:]
    places = [line for line in said.stdout.splitlines() if line.startswith("/")]
    assert len(places) == count, places
    assert _unwritable(service, places) == []
    named = environment(image, service)
    places = [named[key] for key in named if re.search("CACHE|TMP|HOME|STORAGE__PATH", key)]
    assert set(_unwritable(service, places)) <= {"/models/hub"}, "which is only read"
