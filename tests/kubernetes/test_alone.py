"""The chart with its hub in the cluster too: what any node can show, without a program beside it.

`tests/kubernetes/kind` is such a node; on GitHub's machines it is the only one.
"""

from typing import Any
from uuid import uuid4

import pytest

from bridge import __version__
from tests.deploy.tools import output
from tests.kubernetes.node import Node
from tests.kubernetes.release import ACCOUNT, Release
from tests.support import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]  # the first test builds the image and loads it

_LABELS = {"app": "hub"}


def hub(image: str, namespace: str) -> list[dict[str, Any]]:
    """Give a simulated hub, as a pod that the restricted level lets in and the name that it has in the namespace."""
    container = {
        "name": "hub",
        "image": image,
        "readinessProbe": {"tcpSocket": {"port": 3000}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    restricted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"containers": [container], "securityContext": restricted, "terminationGracePeriodSeconds": 1}
    service = {"selector": _LABELS, "ports": [{"port": 3000}]}
    metadata = {"name": "hub", "namespace": namespace, "labels": _LABELS}
    return [
        {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}
        for kind, spec in (("Pod", pod), ("Service", service))
    ]


def test_a_bridge_beside_a_simulated_hub_delivers_and_goes_on_after_its_pod(node: Node) -> None:
    """`helm test` finds it subscribed, changes come out of it, and the next pod has the same journal."""
    image = f"portos-simulator:{__version__}"
    output("docker", "build", "--quiet", "--target", "simulator", "--tag", image, ".", seconds=600)
    node.load(image)
    release = Release(node, f"alone-{uuid4().hex[:8]}")
    config = {"HUB__URL": "http://hub:3000", "SUBSCRIBE__RESOURCES": "tickets,orders", "SINKS": "stdout"}
    try:
        release.account()
        release.apply(*hub(image, release.namespace))
        release.install({"config": config, "hub": {"existingSecret": ACCOUNT}})

        assert "[+] hub: subscribed" in release.helm("test", "bridge", "--logs")
        wait_until(lambda: '"type":"portos.resources.changed"' in release.log(), 60, "a change has come out")

        before, claim = release.uid(), release.claim()
        release.delete_pod()
        release.wait_ready(not_pod=before)
        wait_until(lambda: '"cause":"stopped"' in release.log(), 60, "the time in between is told")
        assert release.claim() == claim
    finally:
        release.remove()
