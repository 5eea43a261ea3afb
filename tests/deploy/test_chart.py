"""The chart under both Helm majors: it lints, what it renders is valid, confined, and made of variables that exist."""

from pathlib import Path

import pytest
import yaml

from bridge.settings.reference import PREFIX, variables
from helm.schema import models
from tests.deploy.tools import (
    CHART,
    DEFAULT,
    helms,
    need_helm,
    one,
    output,
    pod,
    rendered,
    run,
    secret_files,
    validator,
    values_files,
)

pytestmark = pytest.mark.helm

VALUES = pytest.mark.parametrize("values", values_files(), ids=lambda path: path.name.removesuffix("-values.yaml"))


def test_both_majors_are_tested() -> None:
    """The chart meets Helm 3 and Helm 4."""
    need_helm()

    versions = [output(helm, "version", "--template", "{{.Version}}") for helm in helms()]

    assert {version.split(".")[0] for version in versions} == {"v3", "v4"}


def test_the_chart_lints_as_it_is(helm: str) -> None:
    """Linting needs no values: what must be set is asked for when it is rendered."""
    output(helm, "lint", "--strict", CHART)


@VALUES
def test_the_chart_lints(helm: str, values: Path) -> None:
    """No set of values that the chart brings along has a warning."""
    output(helm, "lint", "--strict", CHART, "--values", values)


@VALUES
@pytest.mark.parametrize("kubernetes", ["1.28", "1.37"])
def test_manifests_are_valid(helm: str, values: Path, kubernetes: str, tmp_path: Path) -> None:
    """Every object has the fields that the oldest and the newest Kubernetes know, and no others."""
    known = [item for item in rendered(helm, values) if not item["apiVersion"].startswith("monitoring.coreos.com/")]
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(yaml.safe_dump_all(known), encoding="utf-8")

    said = output(validator(), "--kubernetes-version", kubernetes, "--strict", manifests)

    assert said.count("passed for resource") == len(known)


@VALUES
def test_the_majors_render_the_same(values: Path) -> None:
    """Which Helm an operator has makes no difference."""
    need_helm()

    first, *others = [rendered(helm, values) for helm in helms()]

    assert all(other == first for other in others)


@VALUES
def test_the_pod_is_restricted(helm: str, values: Path) -> None:
    """The pod satisfies the restricted Pod Security Standard and has no token of the cluster."""
    spec = pod(rendered(helm, values))
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False


@VALUES
def test_every_mount_has_its_volume(helm: str, values: Path) -> None:
    """What the container mounts is a volume of the pod or a claim of the set, and the journal is among it."""
    objects = rendered(helm, values)
    claims = one(objects, "StatefulSet")["spec"].get("volumeClaimTemplates", [])
    volumes = {volume["name"] for volume in pod(objects)["volumes"]} | {claim["metadata"]["name"] for claim in claims}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod(objects)["containers"][0]["volumeMounts"]}

    assert set(mounts) <= volumes
    assert mounts["journal"] == "/var/lib/portos-bridge"


@VALUES
def test_a_config_map_holds_known_variables_only(helm: str, values: Path) -> None:
    """Everything in the ConfigMap is a setting of the bridge, and none of it is secret."""
    allowed = {item.name for prefix, model in models() for item in variables(model, prefix) if not item.secret}
    found = one(rendered(helm, values), "ConfigMap")["data"]

    assert {PREFIX + "SINKS", PREFIX + "HUB__URL"} <= set(found)
    assert sorted(set(found) - allowed) == []


@VALUES
def test_secrets_are_files_named_as_their_variables(helm: str, values: Path) -> None:
    """No secret is an environment variable; each file has the name under which the bridge looks for it."""
    known = {item.name.lower() for prefix, model in models() for item in variables(model, prefix) if item.secret}
    objects = rendered(helm, values)
    (container,) = pod(objects)["containers"]
    paths = [path for _, _, path in secret_files(objects)]

    assert paths
    assert sorted(set(paths) - known) == []
    assert "env" not in container
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/run/secrets/portos-bridge"}


def test_every_secret_of_the_bridge_can_be_mounted(helm: str) -> None:
    """There is no secret setting that an operator of the chart cannot give."""
    known = {item.name.lower() for prefix, model in models() for item in variables(model, prefix) if item.secret}
    objects = [rendered(helm, values) for values in values_files()]

    assert {path for each in objects for _, _, path in secret_files(each)} == known


def test_the_key_inside_a_secret_can_be_chosen(helm: str) -> None:
    """A Secret that exists already need not be renamed."""
    objects = rendered(helm, CHART / "ci" / "kafka-values.yaml")

    assert ("mosquitto", "bridge-password", "portos_bridge_sink__mqtt__password") in set(secret_files(objects))


def test_numbers_reach_the_bridge_as_they_are_written(helm: str) -> None:
    """Helm holds numbers as floats; a large one must not arrive with an exponent, nor a fraction be cut."""
    data = one(rendered(helm, CHART / "ci" / "kafka-values.yaml"), "ConfigMap")["data"]

    assert data[PREFIX + "JOURNAL__MAX_BYTES"] == "4294967296"
    assert data[PREFIX + "DELIVERY__CURSOR_EVERY_SECONDS"] == "0.25"
    assert data[PREFIX + "SUBSCRIBE__LICENCE"] == "false"


def test_a_changed_setting_restarts_the_pod(helm: str) -> None:
    """The pod's annotation follows the ConfigMap, or a new setting would wait for the next crash."""
    before, same, after = (
        one(rendered(helm, DEFAULT, *settings), "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        for settings in ((), ("service.port=80",), ("config.LOG__LEVEL=debug",))
    )

    assert before["checksum/config"] == same["checksum/config"]
    assert before["checksum/config"] != after["checksum/config"]


def test_the_service_finds_the_pod_and_the_monitor_the_service(helm: str) -> None:
    """Selectors agree, and the headless Service is not scraped a second time."""
    objects = rendered(helm, CHART / "ci" / "monitoring-values.yaml")
    labels = one(objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    services = [item for item in objects if item["kind"] == "Service"]
    wanted = one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    scraped = [item for item in services if wanted.items() <= item["metadata"]["labels"].items()]

    assert all(service["spec"]["selector"].items() <= labels.items() for service in services)
    assert [service["spec"].get("clusterIP") for service in scraped] == [None]
    assert [port["name"] for port in scraped[0]["spec"]["ports"]] == ["http"]


def test_a_monitor_is_made_on_request_only(helm: str) -> None:
    """A cluster without the Prometheus Operator takes the chart as it is."""
    assert "ServiceMonitor" not in [item["kind"] for item in rendered(helm, DEFAULT)]


def test_probes_ask_the_admin_port(helm: str) -> None:
    """Liveness never asks for what depends on a hub or a broker."""
    (container,) = pod(rendered(helm, DEFAULT))["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}

    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]


def test_the_journal_outlives_the_pod_unless_told_otherwise(helm: str) -> None:
    """The claim stays when the set goes; without persistence the journal is in a bounded emptyDir."""
    kept = one(rendered(helm, DEFAULT), "StatefulSet")["spec"]
    lost = rendered(helm, CHART / "ci" / "monitoring-values.yaml")

    assert kept["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert [claim["metadata"]["name"] for claim in kept["volumeClaimTemplates"]] == ["journal"]
    assert {"name": "journal", "emptyDir": {"sizeLimit": "2Gi"}} in pod(lost)["volumes"]


def test_names_stay_within_their_limits(helm: str) -> None:
    """A long release name still gives names of at most 63 characters, pod ordinal and claim included."""
    release = "r" * 53
    text = output(helm, "template", release, CHART, "--values", DEFAULT)
    names = [item["metadata"]["name"] for item in yaml.safe_load_all(text) if item]

    assert max(len(name) for name in names) <= 61


REFUSED = {
    "two bridges": ("replicaCount=2", "replicaCount"),
    "an unknown setting": ("config.HUB__URI=x", "HUB__URI"),
    "a secret as a setting": ("config.AUTH__PASSWORD=x", "AUTH__PASSWORD"),
    "a setting that the chart decides": ("config.ADMIN__PORT=9090", "ADMIN__PORT"),
    "a word for a number": ("config.JOURNAL__MAX_BYTES=lots", "JOURNAL__MAX_BYTES"),
    "an unknown value": ("persistance.enabled=false", "persistance"),
    "no time to drain": ("config.STOP__DRAIN_SECONDS=60", "terminationGracePeriodSeconds"),
    "no hub": ("config.HUB__URL=", "HUB__URL"),
}


@pytest.mark.parametrize(("setting", "named"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_by_name(helm: str, setting: str, named: str) -> None:
    """Installing with a mistake fails before anything reaches the cluster, and says where it is."""
    done = run(helm, "template", "release", CHART, "--values", DEFAULT, "--set", setting)

    assert done.returncode != 0
    assert named in done.stderr


def test_two_bridges_are_refused_where_the_schema_is_skipped(helm: str) -> None:
    """The template itself guards against doubling every event."""
    done = run(helm, "template", "release", CHART, "-f", DEFAULT, "--set", "replicaCount=2", "--skip-schema-validation")

    assert done.returncode != 0
    assert "twice" in done.stderr
