"""What the chart makes besides the pod, and what of the pod is asked for: each value does what it says."""

import base64
import json
from typing import Any

import pytest
import yaml

from tests.deploy.tools import CHART, DEFAULT, ROOT, config, one, pod, rendered, secret_files, values_files

pytestmark = pytest.mark.helm

ACCOUNT, MONITORING, OPERATIONS, SECRETS = (
    CHART / "ci" / f"{name}-values.yaml" for name in ("account", "monitoring", "operations", "secrets")
)
VALUES = pytest.mark.parametrize("values", values_files(), ids=lambda path: path.name.removesuffix("-values.yaml"))
SELECTOR = {"app.kubernetes.io/name": "portos-bridge", "app.kubernetes.io/instance": "release"}


def every(objects: Any, kind: str) -> Any:
    return [item for item in objects if item["kind"] == kind]


@VALUES
def test_services_monitors_and_policies_find_the_bridge_and_nothing_else(helm: str, values: Any) -> None:
    """Whatever selects pods selects the StatefulSet's, and not the one of `helm test`."""
    objects = rendered(helm, values)
    bridge = one(objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    test = one(objects, "Pod")["metadata"]["labels"]
    found = [service["spec"]["selector"] for service in every(objects, "Service")]
    found += [each["spec"]["podSelector"]["matchLabels"] for each in every(objects, "NetworkPolicy")]
    for kind in ("PodDisruptionBudget", "PodMonitor", "StatefulSet"):
        found += [each["spec"]["selector"]["matchLabels"] for each in every(objects, kind)]

    assert len(found) >= 3
    assert all(selector.items() <= bridge.items() for selector in found)
    assert not any(selector.items() <= test.items() for selector in found)


def test_a_service_monitor_finds_the_one_service_that_is_to_be_scraped(helm: str) -> None:
    """The headless Service is not scraped a second time."""
    objects = rendered(helm, MONITORING)
    wanted = one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    scraped = [item for item in every(objects, "Service") if wanted.items() <= item["metadata"]["labels"].items()]

    assert [service["spec"].get("clusterIP") for service in scraped] == [None]
    assert [port["name"] for port in scraped[0]["spec"]["ports"]] == ["http"]


@pytest.mark.parametrize(("values", "kind"), [(MONITORING, "ServiceMonitor"), (OPERATIONS, "PodMonitor")])
def test_a_monitor_looks_where_the_bridge_is(helm: str, values: Any, kind: str) -> None:
    """In whichever namespace it is itself; its job is called alike for every release."""
    objects = rendered(helm, values)
    spec = one(objects, kind)["spec"]
    bridge = one(objects, "StatefulSet")

    assert spec["namespaceSelector"] == {"matchNames": [bridge["metadata"]["namespace"]]}
    assert bridge["spec"]["template"]["metadata"]["labels"][spec["jobLabel"]] == bridge["spec"]["selector"][
        "matchLabels"
    ].get("app.kubernetes.io/name")


def test_rules_and_dashboard_are_the_files_as_they_are(helm: str) -> None:
    """Nothing in them is filled in, since `{{ $labels }}` is Prometheus' own."""
    objects = rendered(helm, OPERATIONS)
    rules = yaml.safe_load((CHART / "files" / "rules" / "portos-bridge.yaml").read_text(encoding="utf-8"))
    dashboard = (CHART / "files" / "dashboards" / "portos-bridge.json").read_text(encoding="utf-8")
    found = next(item for item in every(objects, "ConfigMap") if "portos-bridge.json" in item["data"])

    assert one(objects, "PrometheusRule")["spec"] == rules
    assert found["data"]["portos-bridge.json"].strip() == dashboard.strip()
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"]["grafana_folder"] == "Shop"
    assert found["metadata"]["namespace"] == "monitoring"


@pytest.mark.parametrize("slash", ["", "/"])
def test_pages_of_the_runbook_can_be_found_in_a_browser(helm: str, slash: str) -> None:
    """What stands before their paths is the only thing that is put into the rules."""
    base = "https://git.example/shop/portos-bridge/blob/v0.1.0"
    asked = "metrics.prometheusRule.runbookBase="

    plain = yaml.safe_dump(one(rendered(helm, OPERATIONS), "PrometheusRule")["spec"], width=10_000)
    found = yaml.safe_dump(
        one(rendered(helm, OPERATIONS, f"{asked}{base}{slash}"), "PrometheusRule")["spec"], width=10_000
    )

    assert "runbook_url: docs/runbook/PortosBridgeDown.md" in plain
    assert found == plain.replace("runbook_url: ", f"runbook_url: {base}/")


def test_what_needs_others_is_made_on_request_only(helm: str) -> None:
    """A cluster without the Prometheus Operator takes the chart as it is."""
    kinds = {item["kind"] for item in rendered(helm, DEFAULT)}

    assert kinds == {"ConfigMap", "Pod", "Service", "ServiceAccount", "StatefulSet"}


def test_a_network_policy_lets_out_to_hub_and_brokers_and_in_to_the_admin_port(helm: str) -> None:
    """By the ports in the settings; one that an address leaves out is the usual one of its scheme."""
    spec = one(rendered(helm, OPERATIONS), "NetworkPolicy")["spec"]
    names, peers, further = spec["egress"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in spec["ingress"] for port in rule["ports"]] == ["http"]
    assert [(port["port"], port["protocol"]) for port in names["ports"]] == [
        *((53, "UDP"), (53, "TCP")),
        *((5353, "UDP"), (5353, "TCP")),
    ]
    assert {port["port"] for port in peers["ports"]} == {443, 8883, 9092, 19092}
    assert peers["to"] == [{"ipBlock": {"cidr": "192.168.1.0/24"}}]
    assert further["ports"] == [{"port": 3128, "protocol": "TCP"}]


def test_the_port_of_an_address_is_found_however_its_scheme_is_written(helm: str) -> None:
    """A rule with an empty port would let the bridge out to every port."""
    objects = rendered(helm, OPERATIONS, "config.HUB__URL=HTTPS://portos.shop", "config.SINK__MQTT__URL=Mqtt://broker/")

    assert {port["port"] for port in one(objects, "NetworkPolicy")["spec"]["egress"][1]["ports"]} >= {443, 1883}


def test_a_network_policy_lets_helm_test_in(helm: str) -> None:
    """Whoever else may not."""
    objects = rendered(helm, OPERATIONS)
    (rule,) = one(objects, "NetworkPolicy")["spec"]["ingress"]
    labels = one(objects, "Pod")["metadata"]["labels"]

    assert {"podSelector": {"matchLabels": {"app.kubernetes.io/name": labels["app.kubernetes.io/name"]}}} in rule[
        "from"
    ]
    assert len(rule["from"]) == 2


def test_a_disruption_budget_keeps_no_node_from_being_drained(helm: str) -> None:
    spec = one(rendered(helm, OPERATIONS), "PodDisruptionBudget")["spec"]
    least, none = (
        one(rendered(helm, OPERATIONS, f"podDisruptionBudget.minAvailable={number}"), "PodDisruptionBudget")["spec"]
        for number in (1, 0)
    )

    assert spec["maxUnavailable"] == 1
    assert "minAvailable" not in spec
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert (least["minAvailable"], "maxUnavailable" in least) == (1, False)
    assert (none["minAvailable"], "maxUnavailable" in none) == (0, False)


def test_terms_about_pods_are_about_this_release_unless_they_say_otherwise(helm: str) -> None:
    spec = pod(rendered(helm, OPERATIONS))
    near = spec["affinity"]["podAntiAffinity"]
    first, second = near["requiredDuringSchedulingIgnoredDuringExecution"]
    (third,) = near["preferredDuringSchedulingIgnoredDuringExecution"]
    (spread,) = spec["topologySpreadConstraints"]

    assert first["labelSelector"] == {"matchLabels": SELECTOR}
    assert second["labelSelector"] == {"matchLabels": {"app": "kafka"}}
    assert third["podAffinityTerm"]["labelSelector"] == {"matchLabels": SELECTOR}
    assert spread["labelSelector"] == {"matchLabels": SELECTOR}


def test_labels_and_annotations_are_on_all_objects(helm: str) -> None:
    """But on none that cannot change them later, and without taking the place of the chart's own."""
    objects = rendered(helm, OPERATIONS, "commonLabels.app\\.kubernetes\\.io/name=other")
    ours = [item for item in objects if item["metadata"]["name"] != "release-notes"]
    bridge = one(objects, "StatefulSet")
    (claim,) = bridge["spec"]["volumeClaimTemplates"]

    for item in (*ours, bridge["spec"]["template"]):
        assert item["metadata"]["labels"]["example.com/cost-centre"] == "4711"
        assert item["metadata"]["labels"]["app.kubernetes.io/name"] != "other"
        assert item["metadata"]["annotations"]["example.com/owner"] == "tills"
    assert claim["metadata"]["labels"] == SELECTOR
    assert bridge["spec"]["selector"]["matchLabels"] == SELECTOR


def test_every_object_is_in_the_namespace_that_is_named(helm: str) -> None:
    """What is for Prometheus and Grafana may be elsewhere."""
    objects = [item for item in rendered(helm, OPERATIONS) if item["metadata"]["name"] != "release-notes"]
    elsewhere = {item["kind"] for item in objects if item["metadata"]["namespace"] == "monitoring"}

    assert {item["metadata"]["namespace"] for item in objects} == {"tills", "monitoring"}
    assert elsewhere == {"ConfigMap", "PodMonitor"}


def test_further_objects_are_filled_in(helm: str) -> None:
    assert "release-notes" in {item["metadata"]["name"] for item in rendered(helm, OPERATIONS)}


def test_the_pod_runs_where_and_as_it_is_said(helm: str) -> None:
    spec = pod(rendered(helm, OPERATIONS))

    assert spec["priorityClassName"] == "tills"
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert [each["key"] for each in spec["tolerations"]] == ["tills"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert {"configMapRef": {"name": "proxies", "optional": True}} in spec["containers"][0]["envFrom"]


def test_the_limit_of_memory_is_above_what_was_measured(helm: str) -> None:
    """With bodies of up to 3 MB, under full load."""
    sizes = json.loads((ROOT / "docs" / "performance" / "sizes.json").read_text(encoding="utf-8"))["figures"]
    peaks = [max(peak) for name, found in sizes.items() if "peak RSS" in name for peak in found.values()]
    limit = pod(rendered(helm, DEFAULT))["containers"][0]["resources"]["limits"]["memory"]

    assert limit.endswith("Mi")
    assert int(limit.removesuffix("Mi")) > max(peaks) * 1.2


def test_a_token_of_the_cluster_is_mounted_on_request_only(helm: str) -> None:
    before, after = (rendered(helm, DEFAULT, *settings) for settings in ((), ("serviceAccount.automount=true",)))

    assert [pod(each)["automountServiceAccountToken"] for each in (before, after)] == [False, True]
    assert [one(each, "ServiceAccount")["automountServiceAccountToken"] for each in (before, after)] == [False, True]


def test_a_claim_of_ones_own_takes_the_place_of_the_charts(helm: str) -> None:
    objects = rendered(helm, SECRETS)

    assert {"name": "journal", "persistentVolumeClaim": {"claimName": "journal-of-before"}} in pod(objects)["volumes"]
    assert "volumeClaimTemplates" not in one(objects, "StatefulSet")["spec"]


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ((), {}),
        (("persistence.size=1Gi",), {"JOURNAL__MAX_BYTES": 858993459, "STATE__MAX_BYTES": 107374182}),
        (("persistence.size=1G",), {"JOURNAL__MAX_BYTES": 800000000, "STATE__MAX_BYTES": 100000000}),
        (("config.JOURNAL__MAX_BYTES=4294967296",), {"JOURNAL__MAX_BYTES": 1717986918}),
        (("config.JOURNAL__MAX_BYTES=4294967296", "persistence.size=5.5Gi"), {"JOURNAL__MAX_BYTES": 4294967296}),
    ],
)
def test_without_a_claim_the_journal_is_full_before_the_pod_is_evicted(
    helm: str, settings: tuple[str, ...], limits: dict[str, int]
) -> None:
    """The program cannot see the limit: `statvfs` of an emptyDir is about the node's disk."""
    made = config(rendered(helm, MONITORING, *settings))

    found = {name: value for name, value in made.items() if name.endswith("__MAX_BYTES")}
    assert found == {f"PORTOS_BRIDGE_{name}": str(value) for name, value in limits.items()}


def test_what_becomes_of_the_claim_can_be_said(helm: str) -> None:
    spec = one(rendered(helm, OPERATIONS), "StatefulSet")["spec"]

    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_secrets_among_the_values_are_a_secret_and_files(helm: str) -> None:
    """They are in no ConfigMap and in no environment, and whatever looks like a number is text."""
    objects = rendered(helm, SECRETS)
    secret = one(objects, "Secret")

    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        "AUTH__PASSWORD": "12345",
        "SINK__MQTT__PASSWORD": "to be kept",
    }
    assert {(name, key) for name, key, _ in secret_files(objects)} == {
        (secret["metadata"]["name"], key) for key in secret["data"]
    }
    assert "12345" not in str([item for item in objects if item["kind"] != "Secret"])


def test_a_changed_secret_among_the_values_rolls_the_pod(helm: str) -> None:
    before, same, after = (
        one(rendered(helm, SECRETS, *settings), "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        for settings in ((), ("service.port=80",), ("secrets.AUTH__PASSWORD=other",))
    )

    assert before["checksum/secret"] == same["checksum/secret"]
    assert before["checksum/secret"] != after["checksum/secret"]
    assert before["checksum/config"] == after["checksum/config"]


def test_sinks_are_those_whose_address_is_given(helm: str) -> None:
    """Unless they are named."""
    sinks = {
        values.name.removesuffix("-values.yaml"): config(rendered(helm, values))["PORTOS_BRIDGE_SINKS"]
        for values in (ACCOUNT, OPERATIONS, MONITORING)
    }

    assert sinks == {"account": "mqtt", "operations": "kafka,mqtt", "monitoring": "mqtt"}


def test_a_whole_account_can_be_in_the_secret(helm: str) -> None:
    """What of it is no secret is a setting among others; where the settings have it, the Secret need not."""
    whole, part = (list(secret_files(rendered(helm, values), "settings")) for values in (ACCOUNT, DEFAULT))

    assert sorted(whole) == [
        ("portos", "device-name", "portos_bridge_auth__device_name"),
        ("portos", "username", "portos_bridge_auth__username"),
    ]
    assert part == []


def test_the_test_asks_the_bridge_whether_it_is_ready(helm: str) -> None:
    """By a Service that knows it when it is not, with the bridge's own image, as restricted as the bridge."""
    objects = rendered(helm, OPERATIONS)
    test, (bridge,) = one(objects, "Pod"), pod(objects)["containers"]
    (container,) = test["spec"]["containers"]
    (service,) = [item for item in every(objects, "Service") if item["spec"].get("publishNotReadyAddresses")]

    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert container["image"] == bridge["image"]
    assert container["securityContext"] == bridge["securityContext"]
    assert f'"{service["metadata"]["name"]}", {service["spec"]["ports"][0]["port"]}' in container["args"][0]
    assert "/readyz" in container["args"][0]
