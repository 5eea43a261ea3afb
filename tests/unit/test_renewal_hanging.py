"""Secrets and certificates on a mount that hangs: what is connected goes on, and what is not is tried again."""

import asyncio
import logging
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from bridge import pausing, renewal
from bridge.deadline import Deadline
from bridge.errors import Unavailable
from bridge.link import UNCOUNTED, Link, Times
from bridge.pausing import Pausing
from bridge.pipeline import keep
from bridge.policy import Pauses
from bridge.ports import Sink
from tests.support import until
from tests.unit.hanging import Hanging
from tests.unit.journal.conftest import messages
from tests.unit.test_renewal import PREFIX, Place, renewed, write

FEW_THREADS = 5  # each waits twice as long as the one before; the last of these is asked after 3 s


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "_LOOK_SECONDS", 0.01)
    for name, seconds in (("_LOOK_SECONDS", 0.0), ("_ANSWER_SECONDS", 0.1), ("_LATE_SECONDS", 0.2)):
        monkeypatch.setattr(renewal, name, seconds)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("first-4711\n")
    return file


async def deliver(sink: Sink, times: int) -> None:
    for _ in range(times):
        await asyncio.wait_for(sink.deliver(messages(1, 1)), 5)


async def ended(sink: Sink) -> str:
    """Deliver until the connection is to be renewed, and say why."""
    found: list[str] = []

    async def delivering() -> list[str]:
        try:
            await deliver(sink, 1)
        except Unavailable as error:
            found.append(str(error))
        return found

    await until(delivering, 10, "the change is taken up")
    return found[0]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if "answer" in record.getMessage()]


async def test_a_connection_delivers_while_a_file_hangs(
    password: Path, hanging: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    """Told once, with the file, as is the end; and no thread after the other is given to it."""
    caplog.set_level(logging.INFO)
    place = Place()
    async with renewed(password).connect(place.connect) as sink:
        hanging.begin(password)
        await deliver(sink, 50)
        await until(lambda: told(caplog), 5, "told")
        await deliver(sink, 50)
        assert hanging.threads <= FEW_THREADS

        hanging.mount_anew(password, "first-4711\n")
        hanging.answer()
        await until(lambda: len(told(caplog)) == 2, 5, "the end is told")
        await deliver(sink, 50)

    assert len(place.delivered) == 150
    assert [level for level, _ in told(caplog)] == ["ERROR", "INFO"]
    assert all(f"{password} of {PREFIX}PASSWORD" in line for _, line in told(caplog))


@pytest.mark.parametrize("who_waits_is_answered", [True, False])
async def test_a_change_is_taken_up_once_its_file_can_be_read(
    password: Path, hanging: Hanging, *, who_waits_is_answered: bool
) -> None:
    """Also where the old mount hangs for ever, and a new one is in its place."""
    async with renewed(password).connect(Place().connect) as sink:
        hanging.begin(password)
        await deliver(sink, 3)
        hanging.mount_anew(password, "second-4712\n")
        if who_waits_is_answered:
            hanging.answer()

        said = await ended(sink)

    assert said == f"{PREFIX}PASSWORD changed: a new connection"


async def test_a_change_that_cannot_be_tried_yet_ends_no_connection(
    password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read then may hang as well."""
    place, files, answered = Place(), renewed(password), threading.Event()
    monkeypatch.setattr(files, "_try", lambda: "" if answered.wait(20) else "not answered")
    try:
        async with files.connect(place.connect) as sink:
            write(password, "second-4712\n")
            await deliver(sink, 20)
            assert len(place.delivered) == 20
            answered.set()

            said = await ended(sink)
    finally:
        answered.set()

    assert said == f"{PREFIX}PASSWORD changed: a new connection"


async def test_a_pause_ends_though_a_file_hangs(password: Path, hanging: Hanging) -> None:
    """And a change that is found later ends one early, whatever hangs still."""
    files = renewed(password)
    async with files.connect(Place().connect):
        pass

    hanging.begin(password)
    for _ in range(10):
        assert await asyncio.wait_for(Pausing().wait(0.05, files.changed), 5) == ""
    assert hanging.threads <= FEW_THREADS
    hanging.mount_anew(password, "second-4712\n")

    assert await asyncio.wait_for(Pausing().wait(60, files.changed), 20) == f"{PREFIX}PASSWORD"


async def test_an_attempt_that_hangs_in_a_file_ends_in_time_and_is_made_again(password: Path, hanging: Hanging) -> None:
    """As often as any other, until one finds that the file can be read; and threads do not pile up meanwhile."""
    place, link = Place(), Link("sink example", Times(0.1, 0.1, 30, Pauses(0.01, 0.02, 0.02)), UNCOUNTED)
    files = renewed(password, link)

    async def use(_: Sink, __: Deadline) -> None:
        await asyncio.Event().wait()

    hanging.begin(password)
    keeping = asyncio.create_task(keep(link, partial(files.connect, place.connect), use, files.changed))
    try:
        await until(lambda: link.failures >= 10, 20, "tried again and again")
        assert link.last_reason == "timeout"
        assert hanging.threads <= FEW_THREADS
        hanging.mount_anew(password, "second-4712\n")
        await until(lambda: link.connected, 20, "connected")
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    assert place.passwords == ["second-4712"]
