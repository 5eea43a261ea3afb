"""Two bridges on one volume: one runs, the other says who it is."""

import socket
from pathlib import Path

import pytest

from tests.chaos.bridge_process import BridgeProcess
from tests.support import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

_ROUNDS = 20
_OWNED = 75


def test_of_two_bridges_started_at_once_one_runs_and_one_names_it(tmp_path: Path) -> None:
    """20 of 20, about a minute: whichever comes second exits with 75 and says which process on which host owns it."""
    settings = {
        "SINKS": "stdout",
        "HUB__URL": f"http://127.0.0.1:{free_port()}",
        "AUTH__SCHEME": "static",
        "AUTH__TOKEN": "none",
        "SUBSCRIBE__RESOURCES": "tickets",
        "JOURNAL__PATH": str(tmp_path / "volume" / "journal.db"),
    }
    pair = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        pair.append(BridgeProcess(tmp_path / name, settings))

    for number in range(_ROUNDS):
        for bridge in pair if number % 2 else reversed(pair):
            bridge.spawn()
        try:
            wait_until(lambda: any(bridge.returncode is not None for bridge in pair), 20, "one of them has ended")
            loser, winner = sorted(pair, key=lambda bridge: bridge.running)
            wait_until(winner.alive, 20, "the other one runs")

            assert loser.returncode == _OWNED, loser.log()
            assert f"pid {winner.pid} on {socket.gethostname()}" in loser.log()
            assert winner.terminate() == 0, winner.log()
        finally:
            for bridge in pair:
                bridge.kill9()
