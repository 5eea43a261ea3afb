"""A journal on a real disk, metrics, a clock and a file that hangs for tests of the loops; a bridge's command line."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.__main__ import main
from bridge.journal import Journal, Limits, open_journal
from bridge.metrics import Catalogue
from tests.support import free_port
from tests.unit.command_line import TOKEN, CommandLine
from tests.unit.hanging import Hanging


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    limits = Limits(60 * 2**20, 2**20, 100, 0.02)
    async with open_journal(tmp_path / "j.db", ["kafka", "mqtt"], 64 * 2**20, limits) as opened:
        yield opened


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue("default", ["kafka", "mqtt"], ["tickets"], 50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def command_line(
    path: Path, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """Runs commands with the configuration of a bridge whose journal is `path` and whose admin port is `port`."""
    for name, value in {
        "HUB__URL": "http://127.0.0.1:1",
        "AUTH__USERNAME": "950",
        "AUTH__PASSWORD": "secret",
        "AUTH__DEVICE_NAME": "BRIDGE1",
        "SUBSCRIBE__RESOURCES": "tickets",
        "SINKS": "stdout",
        "JOURNAL__PATH": str(path),
        "ADMIN__HOST": "127.0.0.1",
        "ADMIN__PORT": str(port),
        "ADMIN__TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(f"PORTOS_BRIDGE_{name}", value)

    def run(*arguments: str) -> tuple[int, str]:
        status = main(arguments)
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock by so many seconds more, as far as this process is concerned."""
    right, ahead = time.time, 0.0

    def set_by(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(time, "time", lambda: right() + ahead)
    return set_by


@pytest.fixture
async def hanging(tmp_path: Path) -> AsyncIterator[Hanging]:
    """What has files hang, until the test ends: the end of its loop may wait for all threads."""
    made = Hanging(tmp_path)
    yield made
    made.answer()
