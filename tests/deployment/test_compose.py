"""docker-compose.yml: what it promises about security, order and settings."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rag_app.commands.environment_file import variables
from rag_app.settings import Settings, load_settings
from retrieval.encoders import registry
from retrieval.encoders.remote.serving import serve_command
from tests.deployment.compose import EXAMPLE, FILE, ROOT, environment, example, services, used
from tests.hub_server import hub
from tests.tiny_models import tiny_qwen
from tools.env_example import renewed
from tools.new_env import SECRETS, main

ENGINES = ("encoder", "encoder-2", "reader", "reranker")
NODES = ("qdrant-1", "qdrant-2", "qdrant-3")


@pytest.mark.parametrize("profiles", ["cpu", "gpu", "gpu,reranker", "cluster"])
def test_compose_accepts_the_file_with_every_profile(profiles, tmp_path):
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copy(EXAMPLE, tmp_path)
    main(tmp_path)
    environment = {**os.environ, "COMPOSE_PROFILES": profiles}
    command = [str(Path(sys.executable).with_name("docker-compose")), "config", "--format=json"]
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")
    apps = {"cpu": {"app", "qdrant"}, "cluster": {"app-cluster", *NODES}}
    assert apps.get(profiles, {"app-gpu", "qdrant"}) <= json.loads(said.stdout)["services"].keys()


@pytest.mark.parametrize("name", ["qdrant", "qdrant-2", *ENGINES])
@pytest.mark.parametrize("held", ["", None, "a key with 'signs'"])
def test_a_server_starts_with_its_secret_or_not_at_all(name, held, tmp_path):
    """Its entry point is run as it stands, with other places for the secret and the server."""
    (secret,) = services()[name]["secrets"]
    if held is not None:
        (tmp_path / secret).write_text(held)
    server = tmp_path / "entrypoint.sh"
    server.write_text('#!/bin/sh\necho "$QDRANT__SERVICE__API_KEY$VLLM_API_KEY $*"\n')
    server.chmod(0o755)
    shell, flags, script, *zero = services()[name]["entrypoint"]
    script = script.replace("$$", "$").replace("/run/secrets", str(tmp_path))
    script = script.replace("python3 -m vllm.entrypoints.openai.api_server", str(server))
    command = [shell, flags, script, *zero, "--model=m"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if held:
        assert (said.returncode, said.stdout) == (0, f"{held} {'--model=m' if zero else ''}\n")
    else:
        assert said.returncode != 0
        assert secret in said.stderr


def test_the_file_follows_the_compose_specification():
    tool = Path(sys.executable).with_name("check-jsonschema")
    command = [str(tool), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    subprocess.run(command, check=True, capture_output=True)


def test_only_the_page_is_published_and_only_to_this_machine():
    published = {name: one["ports"] for name, one in services().items() if "ports" in one}
    assert set(published) == {"app", "app-gpu", "app-cluster"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports), (
        published
    )


def test_every_service_is_confined():
    for name, one in services().items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["mem_limit"], name
        assert one["pids_limit"], name
        assert one["logging"]["options"]["max-size"], name
        assert "privileged" not in one, name
        assert one["image"].rpartition(":")[2] not in {"latest", one["image"]}, name
        if name != "models":
            assert "healthcheck" in one, name
            assert one["restart"] == "unless-stopped", name


def test_each_service_gets_the_secrets_that_it_needs_and_no_other():
    found = services()
    assert {name: sorted(one["secrets"]) for name, one in found.items()} == {
        **{name: ["qdrant_key"] for name in ("qdrant", *NODES)},
        "app": ["password", "qdrant_key"],
        **{name: ["engine_key", "password", "qdrant_key"] for name in ("app-gpu", "app-cluster")},
        "models": ["hf_token"],
        **{name: ["engine_key"] for name in ENGINES},
    }
    for name, one in found.items():
        for variable, value in one["environment"].items():
            if re.search("KEY|PASSWORD|TOKEN", variable):
                assert value.removeprefix("/run/secrets/") in one["secrets"], (name, variable)
    assert not set(SECRETS.values()) & example().keys()


def test_engines_cannot_reach_the_outside_and_read_models_from_a_volume():
    for name in ENGINES:
        one = services()[name]
        assert one["networks"] == ["inside"], name
        assert one["environment"]["HF_HUB_OFFLINE"] == "1", name
        assert "models:/models:ro" in one["volumes"], name
        assert any(flag.startswith("--revision=") for flag in one["command"]), name


def test_engines_start_one_after_the_other():
    found = services()
    assert found["encoder"]["depends_on"]["models"]["condition"] == "service_completed_successfully"
    for name, before in [
        ("reader", "encoder"),
        ("reranker", "reader"),
        ("app-gpu", "reader"),
        ("encoder-2", "reader"),
    ]:
        assert found[name]["depends_on"][before]["condition"] == "service_healthy"
    assert not re.search(
        "s", found["encoder"]["healthcheck"]["start_period"]
    )  # minutes, not seconds


def test_one_file_decides_between_one_card_and_two():
    def cards(**variables: str) -> list[str]:
        found = services(**variables)
        return [
            found[name]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"][0]
            for name in ("encoder", "reader")
        ]

    assert cards() == ["0", "0"]
    assert cards(READER_GPU="1") == ["0", "1"]
    shares = example()
    assert float(shares["ENCODER_SHARE"]) + float(shares["READER_SHARE"]) < 1


def test_the_example_sets_what_the_file_uses_and_nothing_else():
    ours = {name for name in example() if not name.startswith("RAG_APP_")} - {"COMPOSE_PROFILES"}
    assert {name for name in used() if not name.startswith("RAG_APP_")} == ours


def test_every_variable_of_the_application_is_a_setting_and_every_setting_is_in_the_example():
    known = {name for name, _, _ in variables(Settings())}
    files = {f"{name}_FILE" for name in known if name.endswith(("API_KEY", "PASSWORD"))}
    text = EXAMPLE.read_text("utf-8")
    in_example = set(re.findall(r"(?m)^#?(RAG_APP_\w+)=", text))
    in_compose = {
        name for one in services().values() for name in one.get("environment", {})
    } | used()
    assert {name for name in in_compose if name.startswith("RAG_APP_")} <= known | files
    assert in_example == known
    assert renewed(text) == text, "run tools/env_example.py"


@pytest.mark.parametrize("service", ["app", "app-gpu", "app-cluster"])
def test_the_applications_environment_makes_valid_settings(service, monkeypatch, tmp_path):
    for name in services()[service]["secrets"]:
        (tmp_path / name).write_text(f"of {name}\n")
    for name, value in {**example(), **services()[service]["environment"]}.items():
        if name.startswith("RAG_APP_"):
            monkeypatch.setenv(name, str(value).replace("/run/secrets", str(tmp_path)))
    settings = load_settings()
    assert settings.server.password.get_secret_value() == "of password"
    assert settings.storage.api_key.get_secret_value() == "of qdrant_key"
    engines = {one.api_key.get_secret_value() for one in (settings.encoder, settings.llm)}
    assert engines == {"none" if service == "app" else "of engine_key"}
    assert settings.storage.url == "http://qdrant:6333"
    assert settings.reader.kind == ("quote" if service == "app" else "llm")
    assert settings.encoder.name == ("minilm" if service == "app" else "reasonir-8b")


def test_the_cluster_has_a_place_for_every_copy_and_is_asked_by_one_name():
    found = services()
    app = found["app-cluster"]["environment"]
    addresses = [name for name in found if name in NODES]
    assert int(app["RAG_APP_STORAGE__REPLICAS"]) == len(addresses)
    assert 2 * int(app["RAG_APP_STORAGE__WRITE_CONSISTENCY"]) > len(addresses)
    assert app["RAG_APP_STORAGE__READ_CONSISTENCY"] == "majority"
    for name in NODES:
        node = found[name]
        assert node["networks"]["inside"]["aliases"] == ["qdrant"]
        uri, *bootstrap = node["command"]
        assert uri == f"--uri=http://{name}:6335"
        assert bootstrap == ([] if name == NODES[0] else [f"--bootstrap=http://{NODES[0]}:6335"])
        assert not {*node["volumes"]} & {*found["qdrant"]["volumes"]}
    hosts = [httpx.URL(one).host for one in app["RAG_APP_ENCODER__URL"].split()]
    assert hosts == ["encoder", "encoder-2"]
    assert found["encoder"]["command"] == found["encoder-2"]["command"]


def test_the_encoder_runs_as_its_row_says():
    row = registry.row(example()["ENCODER_ROW"])
    wanted = serve_command(row).argv
    given = dict(flag.split("=", 1) for flag in services()["encoder"]["command"])
    for name in ("--revision", "--runner", "--convert", "--load-format", "--max-model-len"):
        assert given[name] == wanted[wanted.index(name) + 1], name
    for name in ("--hf-overrides", "--pooler-config"):
        assert json.loads(given[name]) == json.loads(wanted[wanted.index(name) + 1]), name
    assert given["--model"] == given["--served-model-name"] == row.model_id


def test_secrets_are_made_once_and_nobody_else_comes_near_them(tmp_path, capsys):
    shutil.copy(EXAMPLE, tmp_path)
    main(tmp_path)
    made = {name: (tmp_path / "secrets" / name).read_text() for name in SECRETS}
    assert made.pop("hf_token") == ""
    assert len(set(made.values())) == 3
    assert min(map(len, made.values())) >= 32
    for private in (tmp_path / ".env", tmp_path / "secrets"):
        assert private.stat().st_mode & 0o077 == 0
    assert not any(secret in capsys.readouterr().err for secret in made.values())
    main(tmp_path)
    assert {name: (tmp_path / "secrets" / name).read_text() for name in made} == made


def test_secrets_that_an_older_env_file_holds_are_taken_over(tmp_path):
    held = "RAG_APP_SERVER__PASSWORD=old password\nHF_TOKEN=hf_old\nQDRANT_API_KEY=\n"
    (tmp_path / ".env").write_text(held)
    main(tmp_path)
    assert (tmp_path / "secrets" / "password").read_text() == "old password"
    assert (tmp_path / "secrets" / "hf_token").read_text() == "hf_old"
    assert len((tmp_path / "secrets" / "qdrant_key").read_text()) >= 32
    assert (tmp_path / ".env").read_text() == held


# How an engine without a network finds a model: by its name and revision in the hub's cache.
_FIND = """
import sys
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import cached_file
for name, revision in zip(sys.argv[1::2], sys.argv[2::2]):
    config = AutoConfig.from_pretrained(name, revision=revision)
    tokens = AutoTokenizer.from_pretrained(name, revision=revision)("night").input_ids
    weights = safe_open(cached_file(name, "model.safetensors", revision=revision), "numpy")
    print(name, config.model_type, len(tokens) > 0, len(list(weights.keys())) > 0)
"""


def test_the_models_service_downloads_what_the_engines_load_of_every_model(tmp_path):
    """The real `hf` fills the volume; the engines' own arguments find config, words and weights."""
    model = tiny_qwen(tmp_path / "model")
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    unwanted = dict.fromkeys(["pytorch_model.bin", "original/weights.pth", "README.md"], b"{}")
    arguments = [
        dict(flag.split("=", 1) for flag in services()[name]["command"]) for name in ENGINES
    ]
    asked = [[one["--model"], one["--revision"]] for one in arguments]
    one, volume = services()["models"], tmp_path / "volume"
    settings = {**one["environment"], "HF_HOME": str(volume), "HF_HUB_DISABLE_XET": "1"}
    assert one["environment"]["HF_HOME"] == "/models"
    with hub({name: files | unwanted for name, _ in asked}) as url:
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        script = [word.replace("$$", "$") for word in one["command"]]
        said = subprocess.run(
            [*one["entrypoint"], *script], env={"PATH": path, "HF_ENDPOINT": url, **settings},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert said.returncode == 0, said.stderr
    snapshots = list((volume / "hub").glob("*/snapshots/*"))
    assert {path.name for path in snapshots} == {revision for _, revision in asked}
    for snapshot in snapshots:
        found = {path.name for path in snapshot.rglob("*") if path.is_file()}
        assert found == files.keys()
    offline = {
        **environment("engine", "encoder"), "PATH": path, "HF_HUB_CACHE": str(volume / "hub")
    }  # fmt: skip
    assert environment("engine", "encoder")["HF_HUB_CACHE"] == "/models/hub"
    words = [word for one in asked for word in one]
    said = subprocess.run(
        [sys.executable, "-c", _FIND, *words], env={**offline, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-2000:]
    assert said.stdout.split("\n")[:-1] == [f"{name} qwen3 True True" for name, _ in asked]
