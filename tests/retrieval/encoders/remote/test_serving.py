"""Commands for vLLM; that a server started by one gives the vectors is tested with the plugin."""

import json
import subprocess
from typing import Any

import pytest

from retrieval.encoders.registry import EncoderRow, built_in, row
from retrieval.encoders.remote.serving import NotServableError, ServeCommand, serve_command

SERVABLE = [one for one in built_in().values() if "vllm" in one.backends]


def option(command: ServeCommand, name: str) -> str | None:
    words = list(command.argv)
    return words[words.index(f"--{name}") + 1] if f"--{name}" in words else None


def overrides(command: ServeCommand) -> Any:
    return json.loads(option(command, "hf-overrides") or "{}")


@pytest.mark.parametrize("one", SERVABLE, ids=lambda one: one.name)
def test_every_setting_that_changes_vectors_is_said(one: EncoderRow) -> None:
    command = serve_command(one)
    pooler = {"pooling_type": one.pooling.upper(), "use_activation": one.normalise}
    assert json.loads(option(command, "pooler-config") or "") == pooler
    assert overrides(command).get("is_causal", True) == one.causal
    assert ("architectures" in overrides(command)) == (not one.pool_prefix)
    longest = max(one.passage_length, one.query_length)
    assert option(command, "max-model-len") == str(longest)
    assert option(command, "served-model-name") == one.model_id
    assert option(command, "load-format") == "safetensors"


def test_weights_are_pinned() -> None:
    one = row("reasonir-8b")
    assert option(serve_command(one), "revision") == one.revision


def test_other_weights_are_served_under_the_rows_name() -> None:
    command = serve_command(row("reasonir-8b"), "/models/mine")
    assert command.argv[:3] == ("vllm", "serve", "/models/mine")
    assert option(command, "revision") is None
    assert option(command, "served-model-name") == "reasonir/ReasonIR-8B"


def test_a_shell_reads_the_command_back() -> None:
    command = serve_command(row("reasonir-8b"), "/models/it's mine", tensor_parallel=2)
    script = f"""vllm() {{ printf '%s\\0' "$VLLM_NO_USAGE_STATS" vllm "$@"; }}\n{command.shell()}"""
    read = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert read.split("\0")[:-1] == [*command.env.values(), *command.argv]
    assert option(command, "tensor-parallel-size") == "2"


def test_the_plugin_is_named_where_it_is_needed() -> None:
    needing = {one.name for one in SERVABLE if "plugin" in " ".join(serve_command(one).notes)}
    assert needing == {one.name for one in SERVABLE if not one.pool_prefix}


def test_a_server_that_adds_no_end_token_says_which_it_is() -> None:
    asking = {one.name for one in SERVABLE if serve_command(one).argv[-1].endswith("info-endpoint")}
    assert asking == {one.name for one in SERVABLE if one.append_eos} != set()


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_an_open_address_is_warned_of(host: str, warned: bool) -> None:
    command = serve_command(row("minilm"), host=host)
    assert option(command, "host") == host
    assert ("VLLM_API_KEY" in " ".join(command.notes)) == warned


def test_a_row_without_weights_is_refused() -> None:
    with pytest.raises(NotServableError, match=r"openai-3-large .* Run it with openai"):
        serve_command(row("openai-3-large"))


def test_templates_that_the_plugin_does_not_know_are_refused() -> None:
    mine = row("reasonir-8b").model_copy(update={"query_template": "query: {text}"})
    with pytest.raises(NotServableError, match="other vectors"):
        serve_command(mine)
