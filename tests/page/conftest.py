"""A browser for all tests, a page for each, and a bridge that they share: what a test takes away, it gives back."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.oracle.node import node_packages
from tests.page.chromium import Chromium, Page, chromium_program
from tests.page.scene import Scene, scene


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    started = Chromium(chromium_program())
    yield started
    started.close()


@pytest.fixture(scope="session")
def axe(browser: Chromium, pytestconfig: pytest.Config) -> str:
    """The script of axe-core, which finds what keeps people from using a page."""
    folder = Path(pytestconfig.cache.mkdir("page-accessibility"))
    packages = node_packages(Path(__file__).parent / "axe", folder, "chromium")
    return (packages / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parts(browser: Chromium) -> Iterator[Scene]:
    with scene() as opened:
        yield opened


@pytest.fixture
async def page(browser: Chromium, parts: Scene) -> AsyncIterator[Page]:
    """The status page, drawn."""
    async with browser.page() as opened:
        await opened.look()
        await opened.open(parts.url)
        await opened.says("#headline", "All is well")
        yield opened
