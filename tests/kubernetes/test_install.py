"""From four values to a running pod, timed; and what a namespace that enforces the restricted level lets in."""

import time
from uuid import uuid4

import pytest

from tests.brokers import start_hub, start_mqtt
from tests.chaos.wire import Wire
from tests.kubernetes.node import Node
from tests.kubernetes.release import ACCOUNT, Release

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]  # the first test builds the image and loads it

_LONGEST_SECONDS = 60


def test_four_values_make_a_running_pod(node: Node) -> None:
    """The hub's address, the resources, the broker's address and the Secret with the account are all that is said."""
    hub, mqtt = start_hub(), start_mqtt(own=True)
    release = Release(node, f"four-{uuid4().hex[:8]}")
    try:
        with Wire(hub.port, node.address) as to_hub, Wire(mqtt.port, node.address) as to_mqtt:
            release.account()
            broker = f"mqtt://{to_mqtt.host}:{to_mqtt.port}"
            config = {"HUB__URL": to_hub.url, "SUBSCRIBE__RESOURCES": "tickets", "SINK__MQTT__URL": broker}
            began = time.monotonic()

            release.install({"config": config, "hub": {"existingSecret": ACCOUNT}})

            seconds = time.monotonic() - began
            print(f"from four values to a running pod: {seconds:.1f} s")
            assert hub.subscribed(["tickets"])
            assert "[+] hub: subscribed" in release.helm("test", "bridge", "--logs")
            assert seconds < _LONGEST_SECONDS
            release.uninstall()
    finally:
        release.remove()
        hub.close()
        mqtt.close()


def test_the_namespace_takes_no_pod_that_is_not_restricted(node: Node) -> None:
    """Where the bridge's pod is let in, one that has nothing of its own to say is refused."""
    release = Release(node, f"strict-{uuid4().hex[:8]}")
    try:
        refused = node.run("kubectl", "-n", release.namespace, "run", "any", "--image=any", "--dry-run=server")
    finally:
        release.remove()

    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr
