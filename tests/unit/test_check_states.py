"""`check --connect` tries the connection for states as well, where there is to be one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.commands import connect
from bridge.errors import Unavailable
from bridge.message import Message
from bridge.ports import Outcome, Sink, SinkPlugin, StateConnection, StateTopics
from bridge.settings import Settings, SinkConfig
from bridge.settings.core import Auth, Hub, Journal, Subscribe
from bridge.settings.loading import Configuration


class Taking:
    """Confirms everything."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        return [None] * len(batch)


@asynccontextmanager
async def _refused() -> AsyncIterator[StateConnection]:
    raise Unavailable("it may not read portos/bridge/marker", reason="forbidden", hold=True)
    yield


@asynccontextmanager
async def _connected(_: SinkConfig) -> AsyncIterator[Sink]:
    yield Taking()


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_right_that_states_lack_is_told_before_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, wanted: bool
) -> None:
    async def portos(_: Settings) -> bool:
        return True

    monkeypatch.setattr(connect, "_portos", portos)
    settings = Settings(
        sinks=("one",),
        hub=Hub(url="http://127.0.0.1:1"),
        auth=Auth(username="950", password="secret", device_name="BRIDGE1"),
        subscribe=Subscribe(resources=("tickets",)),
        journal=Journal(path=tmp_path / "journal.db"),
    )
    plugin = SinkPlugin(SinkConfig, _connected, state=lambda _: StateTopics("t", _refused) if wanted else None)

    status = await connect.try_everything(Configuration(settings, {"one": (plugin, SinkConfig())}))

    last = capsys.readouterr().out.splitlines()[-1]
    assert (status, last) == (
        (1, "failed: sink one connects for states: it may not read portos/bridge/marker")
        if wanted
        else (0, "ok: sink one connects")
    )
