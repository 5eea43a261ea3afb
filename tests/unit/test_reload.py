"""Settings that change while the bridge runs: when they are read anew, what is told, and what stays as it is."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from bridge import reload
from bridge.metrics import Catalogue
from bridge.reload import Reload, Sources
from bridge.settings import Settings, check
from bridge.settings.effective import Effective
from bridge.settings.file import Folder
from bridge.settings.loading import Configuration, load
from tests.mount import Mount
from tests.support import until
from tests.unit.log_state import restored
from tests.unit.loops import value
from tests.unit.settings.example import plugin
from tests.unit.settings.wrong import good_environment

FIRST = {"portos_bridge_filter__exclude_ids": "a"}
Looks = Callable[[int], Awaitable[None]]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with restored(monkeypatch) as root:
        root.setLevel(logging.INFO)
        yield


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Have the directory looked at all the time; gives what waits until it was, so many times more."""
    real, count = reload.read_folder, [0]

    def counted(path: Path) -> Folder:
        count[0] += 1
        return real(path)

    async def more(times: int) -> None:
        before = count[0]
        await until(lambda: count[0] >= before + times, 5, "looked at")

    monkeypatch.setattr(reload, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(reload, "read_folder", counted)
    return more


class Running:
    """A bridge's settings, in a directory that is swapped as Kubernetes does, and what is made of them."""

    def __init__(self, tmp_path: Path, catalogue: Catalogue) -> None:
        self.environ = good_environment(tmp_path)
        self._mount = Mount(tmp_path / "settings")
        self.reads = 0
        self.swap(FIRST)
        self.hangup = asyncio.Event()
        self.catalogue = catalogue
        self.effective = Effective(self.read())
        self.used: list[tuple[str, ...]] = []
        self._reload = Reload(self.effective, Sources(self.read, self.hangup), catalogue, self._use)

    def swap(self, files: Mapping[str, str]) -> None:
        self._mount.swap(files)

    def read(self) -> Configuration:
        self.reads += 1
        return load(self.environ, {"example": lambda: plugin})

    def _use(self, settings: Settings) -> None:
        self.used.append(settings.filter.exclude_ids)

    def results(self) -> dict[str, float]:
        words = ("applied", "restart_needed", "unchanged", "rejected")
        found = {word: value(self.catalogue, "config_reloads_total", result=word) for word in words}
        return {word: count for word, count in found.items() if count}

    async def hang_up(self) -> None:
        """Ask for the settings to be read anew, and wait until they are."""
        before = sum(self.results().values())
        self.hangup.set()
        await until(lambda: sum(self.results().values()) > before, 5, "read anew")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._reload.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.fixture
def bridge(tmp_path: Path, catalogue: Catalogue) -> Running:
    return Running(tmp_path, catalogue)


async def test_a_swapped_directory_takes_effect_by_itself(bridge: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Level, filters, hash and metric; one line names what changed."""
    before = bridge.effective.fingerprint
    async with bridge.running():
        bridge.swap({"portos_bridge_log__level": "debug", "portos_bridge_filter__exclude_ids": "a,b"})
        await until(bridge.results, 5, "taken up")

    assert logging.getLogger().level == logging.DEBUG
    assert bridge.used == [("a", "b")]
    assert bridge.results() == {"applied": 1}
    lines = [record.message for record in caplog.records if record.name == "bridge.reload"]
    assert lines == ["changed while running: PORTOS_BRIDGE_FILTER__EXCLUDE_IDS, PORTOS_BRIDGE_LOG__LEVEL"]
    assert bridge.effective.fingerprint != before
    assert value(bridge.catalogue, "config_info", hash=bridge.effective.fingerprint, sinks="kafka,mqtt") == 1


@pytest.mark.parametrize(("before", "now"), [("info", "error"), ("error", "info")])
async def test_no_level_hides_that_it_was_set(
    before: str, now: str, bridge: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridge.running():
        bridge.swap({"portos_bridge_log__level": before})
        await bridge.hang_up()
        caplog.clear()
        bridge.swap({"portos_bridge_log__level": now})
        await bridge.hang_up()

    assert caplog.messages == ["changed while running: PORTOS_BRIDGE_LOG__LEVEL"]
    assert logging.getLogger().level == getattr(logging, now.upper())


async def test_a_directory_that_stays_is_not_read_again_and_again(bridge: Running, looks: Looks) -> None:
    """But one that was changed while the bridge started is, though nobody saw the change."""
    bridge.swap({"portos_bridge_log__level": "debug"})
    reads = bridge.reads
    async with bridge.running():
        await until(bridge.results, 5, "taken up")
        await looks(5)

    assert bridge.reads == reads + 1
    assert bridge.results() == {"applied": 1}


async def test_a_change_that_is_going_on_is_waited_for(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs together is not taken up by halves: two looks have to show the same."""
    seen, reads, gone_on = [Folder({"a": str(look)}) for look in range(5)], bridge.reads, asyncio.Event()

    def changing(_: Path) -> Folder:
        if len(seen) == 1:
            gone_on.set()
            return bridge.effective.configuration.folder
        return seen.pop(0)

    monkeypatch.setattr(reload, "read_folder", changing)
    async with bridge.running():
        await asyncio.wait_for(gone_on.wait(), 5)

    assert bridge.reads == reads


async def test_a_disk_that_cannot_be_looked_at_changes_nothing(
    bridge: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start would end with it; a bridge that runs does not."""

    def fail(_: Path) -> NoReturn:
        raise OSError(5, "Input/output error")

    async with bridge.running():
        monkeypatch.setattr(check.shutil, "disk_usage", fail)
        await bridge.hang_up()

        assert bridge.results() == {"rejected": 1}
    assert "cannot be looked at: [Errno 5] Input/output error" in caplog.text


async def test_a_wrong_file_changes_nothing_and_is_told_in_one_line(
    bridge: Running, looks: Looks, caplog: pytest.LogCaptureFixture
) -> None:
    """With all that is wrong, once; what is right beside it is not taken up either, until all of it is."""
    before = bridge.effective.fingerprint
    async with bridge.running():
        bridge.swap({"portos_bridge_log__level": "loud", "portos_bridge_filter__exclude_id": "C4nary"})
        await until(bridge.results, 5, "read")
        await looks(5)
        assert bridge.results() == {"rejected": 1}
        assert len(bridge.effective.rejected) == 2
        assert (bridge.used, bridge.effective.fingerprint) == ([], before)
        assert logging.getLogger().level == logging.INFO

        bridge.swap({"portos_bridge_log__level": "debug"})
        await until(lambda: bridge.results().get("applied"), 5, "taken up")
        assert bridge.effective.rejected == ()

    line, _ = [record.message for record in caplog.records if record.name == "bridge.reload"]
    assert "portos_bridge_filter__exclude_id in PORTOS_BRIDGE_SETTINGS_DIR: there is no such setting" in line
    assert "PORTOS_BRIDGE_LOG__LEVEL: should be 'debug', 'info'" in line
    assert "C4nary" not in line
    assert "loud" not in line


async def test_what_needs_a_restart_is_named_once_for_each_change(
    bridge: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """And no longer when it is set back; no secret is named by what it is."""
    secret = Path(bridge.environ["PORTOS_BRIDGE_SECRETS_DIR"]) / "portos_bridge_admin__token"
    async with bridge.running():
        bridge.swap(FIRST | {"portos_bridge_site": "shop-7"})
        await bridge.hang_up()
        await bridge.hang_up()
        assert list(bridge.effective.restart_needed) == ["PORTOS_BRIDGE_SITE"]
        secret.write_text("C4nary-admin-token")
        await bridge.hang_up()
        secret.write_text("C4nary-another-token")
        await bridge.hang_up()
        secret.unlink()
        bridge.swap(FIRST)
        await bridge.hang_up()

    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        "changed, but needs a restart: PORTOS_BRIDGE_SITE",
        *["changed, but needs a restart: PORTOS_BRIDGE_SITE, PORTOS_BRIDGE_ADMIN__TOKEN"] * 2,
    ]
    assert caplog.messages[-1] == "nothing waits for a restart any more"
    assert bridge.effective.restart_needed == []
    assert bridge.results() == {"restart_needed": 4, "unchanged": 1}
    assert bridge.used == []


async def test_what_cannot_take_effect_alone_says_why(bridge: Running, caplog: pytest.LogCaptureFixture) -> None:
    bridge.environ["PORTOS_BRIDGE_SUBSCRIBE__RESOURCES"] = "tickets"
    async with bridge.running():
        bridge.swap({**FIRST, "portos_bridge_filter__exclude_resources": "tickets,orders"})
        bridge.environ["PORTOS_BRIDGE_SUBSCRIBE__RESOURCES"] = "tickets,orders,stocks"
        await bridge.hang_up()

    (line,) = caplog.messages
    assert line.startswith("changed, but needs a restart: PORTOS_BRIDGE_SUBSCRIBE__RESOURCES, PORTOS_BRIDGE_FILTER__")
    assert "since PORTOS_BRIDGE_FILTER__EXCLUDE_RESOURCES: leaves nothing of what SUBSCRIBE__RESOURCES names" in line
    assert bridge.used == []


async def test_whoever_asks_is_answered_where_nothing_has_changed(
    bridge: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridge.running():
        await bridge.hang_up()

    (said,) = caplog.messages
    assert said == "the settings were read anew: nothing has changed (what is in the environment needs a restart)"
    assert bridge.results() == {"unchanged": 1}


async def test_a_secret_that_is_read_anew_stands_in_no_log(bridge: Running) -> None:
    """Also where only the next start uses it."""
    from bridge import log

    (Path(bridge.environ["PORTOS_BRIDGE_SECRETS_DIR"]) / "portos_bridge_admin__token").write_text("C4nary-admin-token")
    async with bridge.running():
        await bridge.hang_up()

    assert log.redacted("it is C4nary-admin-token") == "it is **********"
