"""Take the pictures of the status page in docs/images: `make screenshots`.

What they show is a bridge at work and what has really happened to it: the hub goes away, the broker refuses events for
their size, the Kafka cluster ends. Takes two minutes; needs chromium, mosquitto and pngquant, and looks best where the
font Inter is installed.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from tests.page.chromium import Chromium, Page, chromium_program
from tests.page.scene import Scene, scene
from tests.support import until

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_LOOKS = {"light": (1100, "light", 1.6), "dark": (1100, "dark", 1.6), "phone": (390, "dark", 2.0)}
_MOST_BYTES = 100_000


async def _take() -> None:
    browser = Chromium(chromium_program())
    try:
        with scene({"SITE": "bratislava-1"}, kafka=True, rate=14) as parts:
            async with browser.page() as page:
                await page.look(width=1100)
                await page.open(parts.url)
                await _story(parts, page)
    finally:
        browser.close()


async def _story(parts: Scene, page: Page) -> None:
    parts.hub.disconnect()
    await asyncio.sleep(45)  # for the curves to have some length
    await _pictures(page, "healthy", "All is well")

    parts.hub.kill()
    await _pictures(page, "blind", "is missed")
    parts.hub.restart()
    await until(lambda: _says(page, "All is well"), 60, "the hub is heard again")

    parts.refuse("mqtt", 3)
    await _pictures(page, "dead-letters", "dead letters")
    parts.purge()
    await until(lambda: _says(page, "All is well"), 20, "the letters are gone")

    assert parts.kafka is not None
    parts.kafka.kill()
    await _pictures(page, "kafka-down", "cannot be reached")


async def _says(page: Page, words: str) -> bool:
    return words in await page.text("#headline") and "Nothing yet" not in await page.text("#advice")


async def _pictures(page: Page, name: str, words: str) -> None:
    await until(lambda: _says(page, words), 90, f"the page says {words!r}")
    for look, (width, scheme, scale) in _LOOKS.items():
        await page.look(scheme, width=width, scale=scale)
        path = _IMAGES / f"status-{name}-{look}.png"
        path.write_bytes(await page.picture(whole=look != "phone"))
        await _shrink(path)
    await page.look(width=1100)


async def _shrink(path: Path) -> None:
    """Leave a picture the colours that it needs."""
    options = ("--force", "--strip", "--skip-if-larger", "--output", str(path), "--", str(path))
    pngquant = await asyncio.create_subprocess_exec("pngquant", *options)
    await pngquant.wait()
    _check(path)


def _check(path: Path) -> None:
    size = path.stat().st_size
    print(f"{path.name}: {size:,} bytes")
    assert size < _MOST_BYTES, f"{path.name} is too large"


if __name__ == "__main__":
    missing = [program for program in ("pngquant", "mosquitto") if not shutil.which(program)]
    if missing:
        sys.exit(f"install {' and '.join(missing)} to take the pictures")
    _IMAGES.mkdir(exist_ok=True)
    asyncio.run(_take())
