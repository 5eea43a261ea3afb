"""Wrong values of the chart: refused by both Helm majors, by name, before anything reaches a cluster."""

import re

import pytest

from tests.deploy.tools import CHART, DEFAULT, run

pytestmark = pytest.mark.helm

REFUSED = {
    "two bridges": ("replicaCount=2", "replicaCount"),
    "an unknown setting": ("config.HUB__URI=x", "HUB__URI"),
    "a secret as a setting": ("config.AUTH__PASSWORD=x", "AUTH__PASSWORD"),
    "a setting as a secret": ("secrets.AUTH__USERNAME=x", "AUTH__USERNAME"),
    "an empty secret": ("secrets.ADMIN__TOKEN=", "ADMIN__TOKEN"),
    "a secret given twice": ("secrets.AUTH__PASSWORD=x", r"secrets\.AUTH__PASSWORD.*existingSecret"),
    "a setting that the chart decides": ("config.ADMIN__PORT=9090", "ADMIN__PORT"),
    "a word for a number": ("config.JOURNAL__MAX_BYTES=lots", "JOURNAL__MAX_BYTES"),
    "a number that is too large": ("config.METRICS__MAX_RESOURCES=2000", "METRICS__MAX_RESOURCES"),
    "a word that is none of some": ("config.LOG__LEVEL=loud", "LOG__LEVEL"),
    "an unknown value": ("persistance.enabled=false", "persistance"),
    "an unknown value further in": ("metrics.podMonitor.intervall=5s", "intervall"),
    "a duration without a unit": ("metrics.podMonitor.interval=5", r"podMonitor[./]interval"),
    "a size in words": ("persistence.size=2GB", r"persistence[./]size"),
    "an access mode for many": ("persistence.accessModes[0]=ReadWriteMany", r"persistence[./]accessModes"),
    "what is no way to keep": ("persistence.retentionPolicy.whenDeleted=Keep", "whenDeleted"),
    "a stop that deletes the journal": ("persistence.retentionPolicy.whenScaled=Delete", "whenScaled"),
    "a digest that is none": ("image.digest=sha256:123", r"image[./]digest"),
    "no time to drain": ("config.STOP__DRAIN_SECONDS=60", "terminationGracePeriodSeconds"),
    "no hub": ("config.HUB__URL=", "HUB__URL"),
    "no resources": ("config.SUBSCRIBE__RESOURCES=", "SUBSCRIBE__RESOURCES"),
    "no broker": ("config.SINK__MQTT__URL=", "SINK__MQTT__URL"),
    "a sink without an address": ("config.SINKS=kafka", r"SINKS names kafka.*SINK__KAFKA__BOOTSTRAP_SERVERS"),
    "two monitors": ("metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true", "twice"),
    "pages that are nowhere": ("metrics.prometheusRule.runbookBase=git.example", r"prometheusRule[./]runbookBase"),
    "an address without a port for the policy": (
        "networkPolicy.enabled=true,config.SINK__KAFKA__BOOTSTRAP_SERVERS=kafka.shop",
        r"networkPolicy.*kafka\.shop",
    ),
    "a Secret of which nothing is taken": ("mqtt.existingSecret=x", r"mqtt\.existingSecret"),
}


@pytest.mark.parametrize(("setting", "named"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_by_name(helm: str, setting: str, named: str) -> None:
    """Installing with a mistake fails before anything reaches the cluster, and says where it is."""
    done = run(helm, "template", "release", CHART, "--values", DEFAULT, "--set", setting)

    assert done.returncode != 0
    assert re.search(named, done.stderr), done.stderr


def test_two_bridges_are_refused_where_the_schema_is_skipped(helm: str) -> None:
    """The template itself guards against doubling every event."""
    done = run(helm, "template", "release", CHART, "-f", DEFAULT, "--set", "replicaCount=2", "--skip-schema-validation")

    assert done.returncode != 0
    assert "twice" in done.stderr


def test_an_old_cluster_is_refused(helm: str) -> None:
    done = run(helm, "template", "release", CHART, "-f", DEFAULT, "--kube-version", "1.27.9")

    assert done.returncode != 0
    assert "1.28" in done.stderr
