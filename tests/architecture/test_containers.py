"""docker/ without a container engine: its files keep their published schemas and fit the code."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from config.queues import WORKER_GROUPS
from inference.gateway.inference_requests import INFERENCE_PATHS
from tests.architecture.imports import PROJECT

DOCKER, KUBERNETES = PROJECT / "docker", PROJECT / "docker" / "kubernetes"
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::[-?]([^}]*))?\}")
KUBERNETES_VERSIONS = ("1.31", "1.37")  # The oldest and newest that the manifests are held to.
SETTINGS = set(re.findall(r"^# ([A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.M))
OF_OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}  # boto3's.


def compose() -> dict[str, Any]:
    """The file as the engine reads it: variables filled in, anchors merged."""
    text = (DOCKER / "compose.yaml").read_text()
    return yaml.safe_load(VARIABLE.sub(lambda match: match[2] or "x", text))


def refusal(file: dict[str, Any]) -> str:
    try:
        PyCompose.from_yaml(yaml.safe_dump(file))
    except ValueError as error:
        return str(error)
    return ""


def queues_and_threads(command: list[str]) -> tuple[str, int]:
    return command[command.index("-Q") + 1], int(command[command.index("-c") + 1])


EXPECTED_GROUPS = {",".join(group.queues): group.threads for group in WORKER_GROUPS}


def test_compose_keeps_its_specification():
    file = compose()
    assert refusal(file) == ""
    for spoil in (
        lambda wrong: wrong["services"]["web"].update(helthcheck={}),
        lambda wrong: wrong["services"]["web"].update(restart="sometimes"),
        lambda wrong: wrong["services"]["web"]["healthcheck"].update(interval="soon"),
    ):
        wrong = copy.deepcopy(file)
        spoil(wrong)
        assert refusal(wrong) != ""


def test_compose_names_what_exists():
    file = compose()
    services = file["services"]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", (DOCKER / "Dockerfile").read_text(), re.M))
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        named = {str(place).partition(":")[0] for place in service.get("volumes", [])}
        assert {volume for volume in named if not volume.startswith(".")} <= set(file["volumes"])
        if "build" in service:
            assert service["build"]["target"] in stages
            assert service["image"] == f"lathe-{service['build']['target']}:local"
    text = (DOCKER / "compose.yaml").read_text()
    assert {match[1] for match in VARIABLE.finditer(text)} <= SETTINGS | OF_OTHERS


def test_every_setting_reaches_the_containers():
    """Those that the file does not name come from .env as they are."""
    for name, service in compose()["services"].items():
        if "SECRET_KEY" in service.get("environment", {}):
            assert service["env_file"] == [{"path": "../.env", "required": False}], name


def test_compose_runs_every_worker_group_and_needs_torch_where_torch_is():
    workers = {
        name: service
        for name, service in compose()["services"].items()
        if "-Q" in service.get("command", [])
    }
    threads = dict(queues_and_threads(worker["command"]) for worker in workers.values())
    assert EXPECTED_GROUPS.items() <= threads.items()
    assert set(threads) - set(EXPECTED_GROUPS) == {"compute.cpu", "compute.gpu"}
    for name in ("trainer", "trainer-gpu", "analyses", "background"):
        assert workers[name]["build"]["target"] == "trainer"


def test_the_dockerfile_passes_hadolint():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 0


def manifests() -> list[tuple[Path, dict[str, Any]]]:
    return [
        (path, document)
        for path in sorted(KUBERNETES.rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text())
    ]


def deployments() -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["name"]: document["spec"]
        for _, document in manifests()
        if document["kind"] == "Deployment"
    }


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_every_manifest_keeps_the_schema_of_kubernetes(version):
    checked = [
        manifest for _, manifest in manifests() if manifest["apiVersion"] != "keda.sh/v1alpha1"
    ]
    for document in checked:
        kubernetes_validate.validate(document, version, strict=True)
    wrong = copy.deepcopy(
        next(manifest for manifest in checked if manifest["kind"] == "Deployment")
    )
    wrong["spec"]["template"]["spec"]["containers"][0]["comand"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_kustomize_finds_every_file_and_names_no_other():
    for path in KUBERNETES.rglob("kustomization.yaml"):
        file, folder = yaml.safe_load(path.read_text()), path.parent
        named = [*file.get("resources", []), *file.get("components", [])]
        assert all((folder / name).exists() for name in named), path
        beside = {other.name for other in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert beside == {name for name in named if name.endswith(".yaml")}, path


def test_manifests_fit_each_other_and_the_code():
    pods = deployments()
    groups = {
        queues: threads
        for spec in pods.values()
        if "-Q" in (command := spec["template"]["spec"]["containers"][0].get("command", []))
        for queues, threads in [queues_and_threads(command)]
    }
    assert EXPECTED_GROUPS.items() <= groups.items()
    for name, spec in pods.items():
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels == {"app.kubernetes.io/name": name}
        (container,) = spec["template"]["spec"]["containers"]
        assert {"livenessProbe", "readinessProbe", "resources"} <= set(container)
        assert container["image"] in {"lathe-web", "lathe-trainer", "lathe-models"}
    for _, document in manifests():
        spec = document.get("spec", {})
        if target := spec.get("scaleTargetRef"):
            assert target["name"] in pods
            assert "replicas" not in pods[target["name"]]  # Or both would set them.
        if document["kind"] in {"Service", "PodDisruptionBudget"}:
            labels = spec["selector"].get("matchLabels", spec["selector"])
            assert labels["app.kubernetes.io/name"] in pods
        if document["kind"] == "ConfigMap":
            assert set(document["data"]) <= SETTINGS


def served_by(command: list[str]) -> tuple[str, str]:
    """The host and port that a front proxy sends all but inference to."""
    return command[command.index("--web-host") + 1], command[command.index("--web-port") + 1]


def test_every_inference_path_goes_to_the_front_proxy_and_from_there_to_web_or_models():
    caddy = (DOCKER / "Caddyfile").read_text()
    matched = dict(re.findall(r"^\t@(inference|chat) path (.+)$", caddy, re.M))
    paths = {path for line in matched.values() for path in line.split()}
    assert paths == {*INFERENCE_PATHS, "/v1/models/*"}
    assert re.findall(r"reverse_proxy @(\w+) (\S+) ", caddy) == [
        (name, "front:8002") for name in matched
    ]
    rules = next(manifest for _, manifest in manifests() if manifest["kind"] == "Ingress")["spec"][
        "rules"
    ]
    backends = {
        (rule["path"], rule["pathType"]): rule["backend"]["service"]["name"]
        for rule in rules[0]["http"]["paths"]
    }
    kinds = {path: "Prefix" if path == "/v1/models" else "Exact" for path in INFERENCE_PATHS}
    assert backends == {pair: "front" for pair in kinds.items()} | {("/", "Prefix"): "web"}

    services = compose()["services"]
    (container,) = deployments()["front"]["template"]["spec"]["containers"]
    assert container["command"] == services["front"]["command"]
    assert served_by(container["command"]) == ("web", "8000")
    assert {"web", "front", "models"} <= {
        manifest["metadata"]["name"] for _, manifest in manifests() if manifest["kind"] == "Service"
    }
    assert services["front"]["environment"]["MODELS_URL"] == "http://models:8001"


@pytest.mark.django_db
def test_trainers_scale_by_a_figure_that_web_tells(client, settings, job):
    settings.METRICS_TOKEN = "s3cret"
    text = client.get("/metrics", headers={"authorization": "Bearer s3cret"}).content.decode()
    assert 'lathe_training_jobs{compute_class="cpu",status="queued"} 1.0' in text
    assert 'lathe_training_jobs{compute_class="cpu",status="running"} 0.0' in text
    scaling = [
        document for _, document in manifests() if "scaleTargetRef" in document.get("spec", {})
    ]
    assert len(scaling) == 3
    assert all("lathe_training_jobs" in yaml.safe_dump(document) for document in scaling)
