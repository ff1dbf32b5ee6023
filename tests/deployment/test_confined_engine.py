"""vLLM in the confinement that docker-compose.yml gives its engines, by bubblewrap.

A read-only root, the user of the image, no network but loopback, and only the folders writable that
the file declares. The build is the one for CPUs; the image's own can only be run where Docker is.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment.compose import services
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

# Where libraries would write by default, as they say themselves.
_CACHES = """
import os, importlib.util
import huggingface_hub.constants as hub
import torch._inductor.runtime.cache_dir_utils as inductor
import vllm.envs as envs
from transformers.utils import hub as transformers_hub
print(envs.VLLM_CACHE_ROOT, envs.VLLM_CONFIG_ROOT, envs.VLLM_ASSETS_CACHE, sep="\\n")
print(inductor.cache_dir(), transformers_hub.HF_MODULES_CACHE, hub.HF_XET_CACHE, sep="\\n")
print(os.path.expanduser("~/.triton"), os.path.expanduser("~/.nv"), sep="\\n")
"""


def confined(folder: Path) -> list[str]:
    """The command that confines another as the encoder is; `folder` holds its volumes."""
    one = services()["encoder"]
    users = folder / "passwd"
    users.write_text("engine:x:10001:10001::/home/engine:/bin/sh\n")
    command = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    command += ["--ro-bind", str(users), "/etc/passwd", "--tmpfs", "/home"]
    for mount in one["tmpfs"]:
        command += ["--tmpfs", mount.split(":")[0]]
    for volume in one["volumes"]:
        name, target, *mode = volume.split(":")
        if mode != ["ro"]:
            (folder / name).mkdir()
            command += ["--bind", str(folder / name), target]
    command += ["--remount-ro", "/home", "--unshare-all", "--die-with-parent"]
    command += ["--uid", "10001", "--gid", "10001", "--setenv", "HOME", "/home/engine"]
    for name, value in one["environment"].items():
        command += ["--setenv", name, value]
    return command


@pytest.fixture
def sandbox(tmp_path):
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is absent: apt-get install bubblewrap")
    return confined(tmp_path)


@pytest.mark.slow
def test_vllm_serves_from_a_read_only_root_with_the_declared_folders_alone(sandbox, chat_model):
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


@pytest.mark.slow
def test_every_cache_lies_in_a_folder_that_is_writable(sandbox):
    said = subprocess.run(
        [*sandbox, python(), "-c", _CACHES], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr[-3000:]
    one = services()["encoder"]
    writable = [mount.split(":")[0] for mount in one["tmpfs"]]
    folders = [line for line in said.stdout.splitlines() if re.match("/", line)]
    assert len(folders) == 8
    folders += [value for value in one["environment"].values() if value.startswith("/")]
    assert [f for f in folders if not any(f.startswith(f"{w}/") for w in writable)] == []
