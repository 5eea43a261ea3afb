"""Fixtures of the tests on a node: the node with this work tree's image, and one release in one shop for all tests."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from bridge import __version__
from tests.deploy.tools import output
from tests.kubernetes.node import Node
from tests.kubernetes.release import Release
from tests.kubernetes.shop import Shop, opened

__all__ = []


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """The node with the image under the name that the chart gives it. TEST_CLUSTER_KEEP=1 leaves it up."""
    found = Node()
    image = f"portos-bridge:{__version__}"
    output("docker", "build", "--quiet", "--tag", image, ".", seconds=600)
    found.load(image)
    yield found
    if not os.environ.get("TEST_CLUSTER_KEEP"):
        found.down()


@pytest.fixture(scope="session")
def shop(node: Node) -> Iterator[Shop]:
    """A shop whose bridge runs; whatever a test does to it, it runs again afterwards."""
    release = Release(node, f"shop-{uuid4().hex[:8]}")
    release.account()
    with opened(release) as found:
        release.install(found.values())
        yield found
    release.remove()
