"""deploy/kubernetes: valid by Kubernetes' own schemas, and one with docker-compose.yml."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from rag_app.settings import load_settings
from tests.deployment.compose import ROOT, example, services
from tools.new_env import SECRETS

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
OBJECTS = [
    one
    for name in KUSTOMIZATION["resources"]
    for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]
IN_COMPOSE = {"application": "app-cluster", "qdrant": "qdrant", "encoder": "encoder"} | {
    name: name for name in ("reader", "models")
}
MADE = "/run/secrets/rag-app"


@pytest.fixture(scope="module")
def schemas() -> Any:
    return pytest.importorskip(
        "kubernetes_validate", reason="optional: kubernetes-validate is not installed"
    )


def of_kind(*kinds: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in OBJECTS if one["kind"] in kinds}


WORKLOADS = of_kind("Deployment", "StatefulSet", "Job")


def pod(name: str) -> Any:
    return WORKLOADS[name]["spec"]["template"]["spec"]


def container(name: str) -> Any:
    (one,) = pod(name)["containers"]
    return one


def variables(name: str) -> dict[str, str]:
    lines = (FOLDER / f"{name}.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def arguments(name: str) -> list[str]:
    """With the variables replaced as Kubernetes does."""
    held = variables("models")
    return [re.sub(r"\$\((\w+)\)", lambda m: held[m[1]], one) for one in container(name)["args"]]


@pytest.mark.parametrize("version", ["1.28", "1.36"])
@pytest.mark.parametrize(
    "thing", OBJECTS, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_kubernetes_knows_every_field(schemas, thing, version):
    schemas.validate(thing, version, strict=True)


def test_the_schemas_refuse_what_is_not_known(schemas):
    (budget, *_) = of_kind("PodDisruptionBudget").values()
    wrong = {**budget, "spec": {**budget["spec"], "minimumAvailable": 1}}
    with pytest.raises(schemas.ValidationError, match="minimumAvailable"):
        schemas.validate(wrong, "1.36", strict=True)


def test_every_file_of_the_folder_is_used():
    generated = {f"{one['name']}.env" for one in KUSTOMIZATION["configMapGenerator"]}
    assert {f for one in KUSTOMIZATION["configMapGenerator"] for f in one["envs"]} == generated
    used = {"kustomization.yaml", *KUSTOMIZATION["resources"], *generated}
    assert {path.name for path in FOLDER.iterdir()} == used


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_image_and_its_user_are_those_of_compose(name):
    compose = services()[IN_COMPOSE[name]]
    assert container(name)["image"] == compose["image"]
    context = container(name)["securityContext"]
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container(name)["resources"]["limits"]["memory"]
    assert pod(name)["automountServiceAccountToken"] is False
    if name != "models":
        assert {"readinessProbe", "livenessProbe"} <= container(name).keys()


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_a_pod_names_is_there(name):
    one = pod(name)
    assert WORKLOADS[name]["spec"]["template"]["metadata"]["labels"] == {
        "app.kubernetes.io/name": name
    }
    claims = {*of_kind("PersistentVolumeClaim")} | {
        each["metadata"]["name"] for each in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])
    }
    volumes = {volume["name"] for volume in one.get("volumes", [])} | claims
    assert {mount["name"] for mount in container(name)["volumeMounts"]} <= volumes
    secrets, maps, asked = set(), set(), set()
    for key, value in named(one):
        if key == "secretKeyRef":
            secrets.add(value["key"])
            assert value["name"] == "rag-app"
        if key == "secret":
            secrets.update(item["key"] for item in value["items"])
            assert value["secretName"] == "rag-app"
        if key == "configMapRef":
            maps.add(value["name"])
        if key == "claimName":
            asked.add(value)
    assert secrets <= SECRETS.keys()
    assert secrets == set(services()[IN_COMPOSE[name]]["secrets"])
    assert maps <= {each["name"] for each in KUSTOMIZATION["configMapGenerator"]}
    assert asked <= claims


def named(part: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    if isinstance(part, dict):
        yield from part.items()
        for value in part.values():
            yield from named(value)
    elif isinstance(part, list):
        for value in part:
            yield from named(value)


def test_services_lead_to_pods_and_their_ports():
    for service in of_kind("Service").values():
        chosen = service["spec"]["selector"]["app.kubernetes.io/name"]
        ports = {
            key: port["containerPort"]
            for port in container(chosen)["ports"]
            for key in (port["name"], port["containerPort"])
        }
        for port in service["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in ports


def test_the_settings_are_valid_and_name_what_is_there(monkeypatch, tmp_path):
    for name in SECRETS:
        (tmp_path / name).write_text(f"secret {name}")
    for name, value in variables("settings").items():
        monkeypatch.setenv(name, value.replace(MADE, str(tmp_path)))
    settings = load_settings()
    assert settings.server.password.get_secret_value() == "secret password"
    assert settings.storage.replicas == WORKLOADS["qdrant"]["spec"]["replicas"]
    assert 2 * settings.storage.write_consistency > settings.storage.replicas
    hosts = [httpx.URL(one).host for one in settings.encoder.url.split()]
    encoder = WORKLOADS["encoder"]["spec"]
    assert hosts == [f"encoder-{n}.{encoder['serviceName']}" for n in range(encoder["replicas"])]
    for url in (settings.storage.url, settings.llm.api_base):
        assert httpx.URL(url).host in of_kind("Service")
    assert settings.llm.model == variables("models")["READER_MODEL"]
    assert settings.encoder.revision == variables("models")["ENCODER_REVISION"]
    assert variables("models").items() <= example().items()


def test_engines_are_started_with_the_arguments_of_compose():
    for name in ("encoder", "reader"):
        share = "--gpu-memory-utilization="
        wanted = [one for one in services()[name]["command"] if not one.startswith(share)]
        assert [one for one in arguments(name) if not one.startswith(share)] == wanted
        held = {one["name"]: one["value"] for one in container(name)["env"] if "value" in one}
        assert held == services()[name]["environment"]


@pytest.mark.parametrize("node", [0, 2])
def test_a_node_joins_the_cluster_through_the_first(node, tmp_path):
    (tmp_path / "entrypoint.sh").write_text('#!/bin/sh\necho "$*"\n')
    (tmp_path / "entrypoint.sh").chmod(0o755)
    one = container("qdrant")
    said = subprocess.run(
        [*one["command"], *one["args"]], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"HOSTNAME": f"qdrant-{node}", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    joins = "" if node == 0 else " --bootstrap http://qdrant-0.nodes:6335"
    assert said == f"--uri http://qdrant-{node}.nodes:6335{joins}\n"
    assert WORKLOADS["qdrant"]["spec"]["serviceName"] == "nodes"


def test_models_are_downloaded_by_the_commands_of_compose(tmp_path):
    """Which a test of compose runs with the real `hf`."""

    def commands(words: list[str], environment: dict[str, str]) -> set[str]:
        path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        said = subprocess.run(
            words, env=path | environment, capture_output=True, text=True, check=True
        )
        return set(said.stdout.splitlines())

    stand_in = tmp_path / "hf"
    stand_in.write_text('#!/bin/sh\necho "$*"\n')
    stand_in.chmod(0o755)
    compose, one = services()["models"], container("models")
    words = [word.replace("$$", "$") for word in [*compose["entrypoint"], *compose["command"]]]
    ours = commands([*one["command"], *one["args"]], variables("models"))
    assert len(ours) == 2
    assert ours <= commands(words, {})


def test_only_the_application_is_reached_from_elsewhere():
    open_ones = of_kind("NetworkPolicy")["page"]["spec"]["podSelector"]["matchLabels"]
    assert open_ones == {"app.kubernetes.io/name": "application"}
    (closed,) = of_kind("NetworkPolicy")["inside"]["spec"]["podSelector"]["matchExpressions"]
    assert {*closed["values"], "application", "models"} == WORKLOADS.keys()
    assert all(
        one["spec"].get("type", "ClusterIP") == "ClusterIP" for one in of_kind("Service").values()
    )


def test_a_pod_that_is_told_to_stop_has_time_for_its_answers():
    from ui.serving import _DRAIN, _PATIENCE

    waits = int(container("application")["lifecycle"]["preStop"]["exec"]["command"][1])
    assert waits + _DRAIN + _PATIENCE < pod("application")["terminationGracePeriodSeconds"]
    grace = int(services()["app"]["stop_grace_period"].removesuffix("s"))
    assert grace > _DRAIN + _PATIENCE
