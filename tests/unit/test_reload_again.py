"""Settings that are read anew where something does not answer, or is wrong for a time: told, and tried again."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import reload
from bridge.metrics import Catalogue
from bridge.settings.file import Folder, read_folder
from bridge.settings.loading import Configuration
from bridge.threads import renew_helpers
from tests.brokers.certificates import Authority
from tests.support import until
from tests.unit.log_state import restored
from tests.unit.loops import value
from tests.unit.test_reload import FIRST, Running


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with restored(monkeypatch) as root:
        root.setLevel("INFO")
        yield


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_LOOK_SECONDS", 0.01), ("_ANSWER_SECONDS", 0.1), ("_AGAIN_SECONDS", 0.1)):
        monkeypatch.setattr(reload, name, seconds)


@pytest.fixture
def bridge(tmp_path: Path, catalogue: Catalogue) -> Running:
    return Running(tmp_path, catalogue)


class Mount:
    """Holds whoever looks, while it hangs."""

    def __init__(self) -> None:
        self.waiting = 0
        self._answers = threading.Event()
        self._answers.set()

    def hang(self) -> None:
        self._answers = threading.Event()

    def answer(self) -> None:
        """Answer whoever waits, and all who come."""
        self._answers.set()

    def be_replaced(self) -> None:
        """Answer who comes, and never who waits, as after a lazy unmount."""
        self._answers = threading.Event()
        self._answers.set()

    def look(self) -> None:
        self.waiting += 1
        self._answers.wait(20)
        self.waiting -= 1


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    """That of the settings directory."""
    mount, made = Mount(), []
    hang = mount.hang

    def remembered() -> None:
        hang()
        made.append(mount._answers)

    def read(path: Path) -> Folder:
        mount.look()
        return read_folder(path)

    monkeypatch.setattr(mount, "hang", remembered)
    monkeypatch.setattr(reload, "read_folder", read)
    yield mount
    for answers in made:
        answers.set()


def unanswered(bridge: Running) -> float:
    return value(bridge.catalogue, "config_reloads_total", result="unanswered")


async def test_a_directory_that_hangs_is_told_once_and_read_when_it_answers(
    bridge: Running, mount: Mount, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has to ask again; and no thread after the other is given to it."""
    renew_helpers()  # as the bridge does: more threads than may hang
    async with bridge.running():
        mount.hang()
        await until(lambda: mount.waiting == reload._MOST_HANGING, 10, "looked at as often as may be")
        await asyncio.sleep(0.5)
        assert mount.waiting == reload._MOST_HANGING
        assert unanswered(bridge) == 1
        assert bridge.effective.unanswered.startswith("the settings directory /")
        bridge.swap(FIRST | {"portos_bridge_filter__exclude_ids": "a,b"})

        mount.answer()
        await until(lambda: bridge.used == [("a", "b")], 5, "taken up")

    assert bridge.effective.unanswered == ""
    lines = [(record.levelname, record.message) for record in caplog.records if "answer" in record.message]
    assert [level for level, _ in lines] == ["ERROR", "INFO"]
    assert "has not answered for 0.1 s" in lines[0][1]


@pytest.mark.parametrize("asks", [True, False])
async def test_a_mount_that_was_replaced_is_read_though_the_old_one_hangs_for_ever(
    bridge: Running, mount: Mount, monkeypatch: pytest.MonkeyPatch, *, asks: bool
) -> None:
    """At once where somebody asks for it."""
    if asks:
        monkeypatch.setattr(reload, "_AGAIN_SECONDS", 1000)
    async with bridge.running():
        mount.hang()
        await until(lambda: unanswered(bridge), 5, "told")
        mount.be_replaced()
        bridge.swap(FIRST | {"portos_bridge_filter__exclude_ids": "a,b"})
        if asks:
            bridge.hangup.set()

        await until(lambda: bridge.used == [("a", "b")], 5, "taken up")

        assert bridge.effective.unanswered == ""


async def test_a_file_that_a_setting_names_may_hang_as_well(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for is not forgotten meanwhile; what was read too late counts no more."""
    mount, real = Mount(), bridge._reload._sources.read

    def read() -> Configuration:
        mount.look()
        return real()

    monkeypatch.setattr(bridge._reload, "_sources", reload.Sources(read, bridge.hangup))
    mount.hang()
    async with bridge.running():
        bridge.hangup.set()
        await until(lambda: unanswered(bridge), 5, "told")
        assert bridge.effective.unanswered == "a file that the settings name"

        mount.answer()
        await until(lambda: bridge.results() == {"unchanged": 1}, 5, "answered")

        assert bridge.effective.unanswered == ""


async def test_what_was_wrong_with_a_file_elsewhere_is_tried_again_by_itself(
    bridge: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The directory holds the same, so nothing else would make it be read; and it is told once."""
    bridge.environ["PORTOS_BRIDGE_HUB__URL"] = "https://127.0.0.1:3000"
    ca_file = tmp_path / "later.pem"
    async with bridge.running():
        bridge.swap({"portos_bridge_hub__ca_file": str(ca_file), "portos_bridge_filter__exclude_ids": "a,b"})
        await until(bridge.results, 5, "read")
        before = bridge.reads
        await until(lambda: bridge.reads >= before + 3, 5, "read again and again")
        assert bridge.results() == {"rejected": 1}

        Authority(tmp_path).ca_file.replace(ca_file)  # at once: half a file is wrong in another way
        await until(lambda: bridge.results() == {"rejected": 1, "applied": 1}, 5, "taken up")

        assert (bridge.used, bridge.effective.rejected) == ([("a", "b")], ())
    told = [record.message for record in caplog.records if "are not taken up" in record.message]
    assert len(told) == 1
    assert "PORTOS_BRIDGE_HUB__CA_FILE: " in told[0]
