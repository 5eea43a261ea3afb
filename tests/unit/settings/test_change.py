"""What takes effect of settings that are read anew, what waits for a restart, and what neither is nor does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.settings.change import Decision, decided
from bridge.settings.loading import Configuration, load
from tests.unit.settings.example import plugin

INSTALLED = {"example": lambda: plugin, "other": lambda: plugin}
EVERYTHING = {
    "SUBSCRIBE__RESOURCES": "*",
    "PRIVACY__ACKNOWLEDGE_RESOURCES": "settings,sessions",
    "FILTER__EXCLUDE_RESOURCES": "apikeys",
}
CONTIGUOUS = {"VERSION__MODE": "contiguous"}


def read(good: Mapping[str, str], change: Mapping[str, str | None]) -> Configuration:
    changed = good | {f"PORTOS_BRIDGE_{name}": value for name, value in change.items()}
    return load({name: value for name, value in changed.items() if value is not None}, INSTALLED)


def short(names: object) -> list[str]:
    return [str(name).removeprefix("PORTOS_BRIDGE_") for name in names]  # type: ignore[attr-defined]  # of names


@dataclass(frozen=True)
class Case:
    """What a bridge runs with, what was read then, and what becomes of it."""

    before: Mapping[str, str | None]
    now: Mapping[str, str | None]
    applied: list[str]
    waiting: list[str]
    result: str


CASES = {
    "nothing": Case({}, {}, [], [], "unchanged"),
    "a level": Case({}, {"LOG__LEVEL": "debug"}, ["LOG__LEVEL"], [], "applied"),
    "a level in other letters": Case({"LOG__LEVEL": "debug"}, {"LOG__LEVEL": "DEBUG"}, [], [], "unchanged"),
    "the default, in words": Case({}, {"LOG__LEVEL": "info", "FILTER__EXCLUDE_IDS": ""}, [], [], "unchanged"),
    "all filters": Case(
        {"FILTER__EXCLUDE_IDS": "a"},
        {"FILTER__EXCLUDE_RESOURCES": "orders", "FILTER__EXCLUDE_SENDERS": "950"},
        ["FILTER__EXCLUDE_RESOURCES", "FILTER__EXCLUDE_IDS", "FILTER__EXCLUDE_SENDERS"],
        [],
        "applied",
    ),
    "a hub": Case({}, {"HUB__URL": "http://127.0.0.1:4000"}, [], ["HUB__URL"], "restart_needed"),
    "a form of the log": Case({}, {"LOG__FORMAT": "json"}, [], ["LOG__FORMAT"], "restart_needed"),
    "both": Case(
        {},
        {"LOG__LEVEL": "error", "SITE": "shop", "SINK__EXAMPLE__POOL__SIZE": "3"},
        ["LOG__LEVEL"],
        ["SITE", "SINK__EXAMPLE__POOL__SIZE"],
        "applied",
    ),
    "a sink more": Case({}, {"SINKS": "example,other", "SINK__OTHER__URL": "x"}, [], ["SINKS"], "restart_needed"),
    "a secret of the bridge's own": Case(
        {}, {"ADMIN__TOKEN": "an-admin-token-4711"}, [], ["ADMIN__TOKEN"], "restart_needed"
    ),
    "a filter that goes only with what waits": Case(
        EVERYTHING,
        EVERYTHING | {"FILTER__EXCLUDE_RESOURCES": None, "PRIVACY__ACKNOWLEDGE_RESOURCES": "apikeys,settings,sessions"},
        [],
        ["FILTER__EXCLUDE_RESOURCES", "PRIVACY__ACKNOWLEDGE_RESOURCES"],
        "restart_needed",
    ),
    "another that does": Case(
        CONTIGUOUS,
        {"FILTER__EXCLUDE_SENDERS": "950", "LOG__LEVEL": "debug"},
        [],
        ["FILTER__EXCLUDE_SENDERS", "VERSION__MODE", "LOG__LEVEL"],
        "restart_needed",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_becomes_of_each_change(case: Case, good: dict[str, str]) -> None:
    """Only what is hot takes effect, and the configuration in effect differs from the former in nothing else."""
    running = read(good, case.before)

    decision = decided(running, read(good, case.now))

    assert sorted(short(decision.applied)) == sorted(case.applied)
    assert sorted(short(decision.waiting)) == sorted(case.waiting)
    assert decision.result == case.result
    again = decided(running, decision.configuration)
    assert (sorted(short(again.applied)), again.waiting) == (sorted(case.applied), {})


def test_what_hinders_a_filter_is_named(good: dict[str, str]) -> None:
    """It would let out what is acknowledged only from the next start on: what was read is valid, the mixture is not."""
    running = read(good, CASES["a filter that goes only with what waits"].before)

    decision = decided(running, read(good, CASES["a filter that goes only with what waits"].now))

    (why,) = decision.hindrances
    assert why.startswith("PORTOS_BRIDGE_PRIVACY__ACKNOWLEDGE_RESOURCES: must name apikeys too")
    assert decision.configuration is running


def test_what_is_wrong_already_hinders_nothing(good: dict[str, str], tmp_path: Path) -> None:
    """A certificate in use may have been taken away meanwhile, where another variable names its successor."""
    running = read(good, {})
    journal = tmp_path / "journal"
    journal.write_text("now a file is where the folder of the journal was")

    decision = decided(running, read(good, {"LOG__LEVEL": "debug", "JOURNAL__PATH": str(tmp_path / "j.db")}))

    assert (short(decision.applied), short(decision.waiting)) == (["LOG__LEVEL"], ["JOURNAL__PATH"])


def test_what_should_be_known_of_a_filter_is_told_with_it_and_once(good: dict[str, str]) -> None:
    """As at the start."""
    running = read(good, {})

    decision = decided(running, read(good, {"FILTER__EXCLUDE_RESOURCES": "sesions"}))
    again = decided(decision.configuration, read(good, {"FILTER__EXCLUDE_RESOURCES": "sesions", "LOG__LEVEL": "error"}))

    assert [caution.partition(":")[0] for caution in decision.cautions] == ["PORTOS_BRIDGE_FILTER__EXCLUDE_RESOURCES"]
    assert (short(again.applied), again.cautions) == (["LOG__LEVEL"], [])


@pytest.mark.parametrize(
    ("variable", "waits"),
    [("AUTH__PASSWORD", False), ("SINK__EXAMPLE__TOKEN", False), ("ADMIN__TOKEN", True)],
)
def test_a_secret_waits_only_where_nobody_reads_it_again(
    variable: str,
    waits: bool,  # noqa: FBT001
    good: dict[str, str],
) -> None:
    """The files of the hub, the login and the sinks are read for each connection."""
    file = Path(good["PORTOS_BRIDGE_SECRETS_DIR"]) / f"portos_bridge_{variable.lower()}"
    good.pop(f"PORTOS_BRIDGE_{variable}", None)
    file.write_text("the-first-secret-4711")
    running = read(good, {})
    file.write_text("the-second-secret-0815")

    decision = decided(running, read(good, {}))

    assert short(decision.waiting) == [variable] * waits
    assert "secret-" not in repr(decision.waiting)


def test_a_secret_that_is_set_for_the_first_time_waits(good: dict[str, str]) -> None:
    """Nobody watches a file that was not there."""
    running = read(good, {})
    (Path(good["PORTOS_BRIDGE_SECRETS_DIR"]) / "portos_bridge_sink__example__token").write_text("opens")

    decision: Decision = decided(running, read(good, {}))

    assert short(decision.waiting) == ["SINK__EXAMPLE__TOKEN"]
