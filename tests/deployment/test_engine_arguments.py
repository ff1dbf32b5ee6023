"""Every argument of the engines is one that the installed vLLM knows."""

import json
import subprocess

import pytest

from tests.deployment.compose import services
from tests.vllm_server import python

_PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
for line in json.load(sys.stdin):
    parsed = parser.parse_args(line)
    validate_parsed_serve_args(parsed)
    print(parsed.model, parsed.revision, parsed.gpu_memory_utilization, parsed.max_model_len)
"""


@pytest.mark.slow
def test_the_installed_vllm_takes_every_argument():
    commands = [services()[name]["command"] for name in ("encoder", "reader", "reranker")]
    said = subprocess.run(
        [python(), "-c", _PARSE], input=json.dumps(commands), text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-2000:]
    shown = [line.split() for line in said.stdout.splitlines() if "/" in line]
    assert [(line[0], float(line[2]), int(line[3])) for line in shown[-3:]] == [
        ("reasonir/ReasonIR-8B", 0.42, 8192),
        ("Qwen/Qwen2.5-7B-Instruct", 0.50, 32768),
        ("Qwen/Qwen2.5-7B-Instruct", 0.40, 8192),
    ]
    refused = subprocess.run(
        [python(), "-c", _PARSE], input=json.dumps([["--no-such-argument=1"]]), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert refused.returncode != 0
