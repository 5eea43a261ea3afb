"""Ports for tests: two workers of one run never give the same, and none gives one twice."""

import pytest

from tests.support import free_port


def given(monkeypatch: pytest.MonkeyPatch, worker: str, *, neighbours: int) -> list[int]:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    ports = (free_port(neighbours=neighbours) for _ in range(500))
    return [port + offset for port in ports for offset in range(neighbours + 1)]


def test_no_port_is_given_by_two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for some time before anybody listens there; neighbours are given with it."""
    first, second = (given(monkeypatch, worker, neighbours=2) for worker in ("gw0", "gw1"))

    assert max(first) < min(second)


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on any of them yet: a broker with five listeners once got one port for two, and did not start."""
    ports = given(monkeypatch, "gw0", neighbours=0) + given(monkeypatch, "gw0", neighbours=2)

    assert len(set(ports)) == len(ports) == 2000
