"""The chart under both Helm majors: it lints, what it renders is valid, confined, and made of variables that exist."""

from pathlib import Path

import pytest
import yaml

from bridge.settings import Settings
from bridge.settings.reference import PREFIX, variables
from helm.schema import models
from tests.deploy.tools import (
    CHART,
    DEFAULT,
    config,
    helms,
    hot_config,
    need_helm,
    one,
    output,
    pod,
    rendered,
    secret_files,
    validator,
    values_files,
)

pytestmark = pytest.mark.helm

MONITORING = "monitoring.coreos.com/"
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


@pytest.mark.parametrize("kubernetes", [f"1.{minor}" for minor in range(28, 38)])
def test_manifests_are_valid(helm: str, kubernetes: str, tmp_path: Path) -> None:
    """Every object of every set of values has the fields that this Kubernetes knows, and no others."""
    count, files = 0, []
    for values in values_files():
        known = [item for item in rendered(helm, values) if not item["apiVersion"].startswith(MONITORING)]
        count += len(known)
        files.append(tmp_path / values.name)
        files[-1].write_text(yaml.safe_dump_all(known), encoding="utf-8")

    said = output(validator(), "--kubernetes-version", kubernetes, "--strict", *files)

    assert said.count("passed for resource") == count


@VALUES
def test_the_majors_render_the_same(values: Path) -> None:
    """Which Helm an operator has makes no difference."""
    need_helm()

    first, *others = [rendered(helm, values) for helm in helms()]

    assert all(other == first for other in others)


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
    objects = rendered(helm, values)
    found = config(objects)
    files = {*hot_config(objects), *(path for _, _, path in secret_files(objects, "settings"))}

    assert {PREFIX + "SINKS", PREFIX + "HUB__URL"} <= set(found)
    assert sorted(set(found) - allowed) == []
    assert sorted({name.upper() for name in files} - allowed) == []
    assert set(found).isdisjoint(name.upper() for name in files)


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
    data = config(rendered(helm, CHART / "ci" / "kafka-values.yaml"))

    assert data[PREFIX + "JOURNAL__MAX_BYTES"] == "4294967296"
    assert data[PREFIX + "DELIVERY__CURSOR_EVERY_SECONDS"] == "0.25"
    assert data[PREFIX + "SUBSCRIBE__LICENCE"] == "false"


def test_a_changed_setting_restarts_the_pod(helm: str) -> None:
    """The pod's annotation follows the ConfigMap, or a new setting would wait for the next crash."""
    before, same, after = (
        one(rendered(helm, DEFAULT, *settings), "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        for settings in ((), ("service.port=80",), ("config.LOG__FORMAT=json",))
    )

    assert before["checksum/config"] == same["checksum/config"]
    assert before["checksum/config"] != after["checksum/config"]


def test_a_pod_that_never_gets_ready_is_not_waited_for(helm: str) -> None:
    """With the default, OrderedReady, no upgrade and no rollback would reach it (seen on a node)."""
    assert one(rendered(helm, DEFAULT), "StatefulSet")["spec"]["podManagementPolicy"] == "Parallel"


def test_a_setting_that_is_hot_leaves_the_pod_alone(helm: str) -> None:
    """What the bridge takes up while it runs is a file, nothing else of it is anywhere, and the pod stays the same."""
    settings = [each.name for prefix, model in models() for each in variables(model, prefix) if each.hot]
    given = {name: "warning" if name.endswith("LEVEL") else "x" for name in settings}
    sets = [f"config.{name.removeprefix(PREFIX)}={value}" for name, value in given.items()]
    before, after = rendered(helm, DEFAULT), rendered(helm, DEFAULT, *sets)

    assert hot_config(before) == {}
    assert hot_config(after) == {name.lower(): value for name, value in given.items()}
    assert config(after) == config(before)
    assert one(after, "StatefulSet") == one(before, "StatefulSet")
    (mount,) = [each for each in pod(after)["containers"][0]["volumeMounts"] if each["name"] == "settings"]
    assert mount["mountPath"] == str(Settings.model_fields["settings_dir"].default)


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

    assert max(len(name) for name in names) <= 63
