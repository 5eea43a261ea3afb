"""The probes and the status: what they answer, and what they never show."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from bridge import health
from bridge.admin import Check, admin
from bridge.errors import ConfigError
from bridge.health import Heartbeat
from tests.support import until


@asynccontextmanager
async def served(
    alive: Sequence[Check] = (), ready: Sequence[Check] = ()
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    registry = CollectorRegistry()
    Gauge("portos_bridge_test", "a gauge", registry=registry).set(7)
    async with (
        admin("127.0.0.1", 0, registry, lambda: alive, lambda: ready, lambda: {"version": "1"}) as port,
        aiohttp.ClientSession() as http,
    ):
        yield f"http://127.0.0.1:{port}", http


async def test_a_probe_is_good_only_when_every_check_is() -> None:
    async with served(alive=[("loop", True, "fine")], ready=[("hub", True, "in"), ("journal", False, "full")]) as (
        url,
        http,
    ):
        alive, ready = await http.get(f"{url}/livez"), await http.get(f"{url}/readyz")

        assert (alive.status, await alive.text()) == (200, "ok\n")
        assert (ready.status, await ready.text()) == (503, "[-] journal: full\nnot ok\n")
        verbose = await (await http.get(f"{url}/readyz?verbose")).text()
        assert verbose == "[+] hub: in\n[-] journal: full\nnot ok\n"


async def test_metrics_and_status_are_served() -> None:
    async with served() as (url, http):
        assert "portos_bridge_test 7.0" in await (await http.get(f"{url}/metrics")).text()
        assert await (await http.get(f"{url}/status")).json() == {"version": "1"}


async def test_a_port_that_is_taken_is_a_configuration_error_that_names_the_variable() -> None:
    async with served() as (url, _):
        port = int(url.rsplit(":", 1)[1])

        with pytest.raises(ConfigError, match="PORTOS_BRIDGE_ADMIN__PORT"):
            async with admin("127.0.0.1", port, CollectorRegistry(), lambda: (), lambda: (), dict):
                pass


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
async def test_an_address_that_is_not_this_machines_is_an_error_that_names_the_variable(host: str) -> None:
    with pytest.raises(ConfigError, match=f"PORTOS_BRIDGE_ADMIN__HOST: cannot listen on {host}:0"):
        async with admin(host, 0, CollectorRegistry(), lambda: (), lambda: (), dict):
            pass


async def test_the_heartbeat_measures_how_late_the_loop_is() -> None:
    heartbeat = Heartbeat()
    task = asyncio.create_task(heartbeat.beat())
    await asyncio.sleep(0.3)
    calm = heartbeat.worst_lag_seconds

    block = asyncio.get_running_loop().call_soon(_block, 0.6)
    await until(lambda: heartbeat.worst_lag_seconds > 0.3, 5, "the lateness")
    task.cancel()

    assert calm < 0.3
    assert heartbeat.alive
    assert block is not None


def test_a_loop_that_has_not_run_for_ten_seconds_is_dead_and_one_that_is_late_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A restart costs a blind window, so it is for what does not heal by itself."""
    now = 100.0
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now))
    heartbeat = Heartbeat()

    now += 9.9
    late = heartbeat.alive
    now += 0.2

    assert late
    assert not heartbeat.alive


def _block(seconds: float) -> None:
    import time

    time.sleep(seconds)
