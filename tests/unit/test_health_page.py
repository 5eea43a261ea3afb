"""`docs/health.md` says what the test of `tests/chaos/test_zombies.py` holds the program to, and what was recorded."""

from pathlib import Path

import yaml

from tests.chaos.figures import FIGURES, HEALTH, recorded
from tests.chaos.zombies.page import with_table
from tests.chaos.zombies.zombie import ZOMBIES

TEXT = HEALTH.read_text()
RULES = Path(__file__).parents[2] / "helm" / "portos-bridge" / "files" / "rules" / "portos-bridge.yaml"


def test_the_table_is_that_of_the_test_with_what_was_recorded() -> None:
    assert with_table(TEXT, recorded(FIGURES).get("zombies")) == TEXT, "run: make figures"


def test_what_was_recorded_was_in_time_and_stands_in_the_table() -> None:
    page = "<!-- zombies -->\nold\n<!-- end -->"
    summaries = ["half-open hub: seen after 30.1, 30.4 s, well 0.5 s after the end: ok"]
    entry = {"command": "make it", "commit": "abc", "date": "2026-11-29", "summaries": summaries}

    table = with_table(page, entry)

    assert "| 32 s<br>32 s | 30.1 s<br>30.4 s | by itself, once the way is open: 12 s | 0.5 s |" in table
    assert "old" not in table
    assert with_table(table, entry) == table
    assert table.count("**") == 2 * len(ZOMBIES)


def test_every_fault_shows_somewhere_and_has_a_name_of_its_own() -> None:
    assert len({zombie.name for zombie in ZOMBIES}) == len(ZOMBIES) >= 12
    assert all(zombie.signs for zombie in ZOMBIES)


def test_every_alert_is_a_rule_about_the_metric_that_the_test_looks_at() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    expressions = [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]
    signs = [sign for zombie in ZOMBIES for sign in zombie.signs if sign.alert]

    assert signs
    for sign in signs:
        assert any(name == sign.alert and sign.metric in text for name, text in expressions), sign.text
