"""Wrong configurations: each tells all that is wrong with it, by variable, without a value."""

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.settings.loading import load
from tests.unit.settings.example import plugin
from tests.unit.settings.wrong import WRONG, Wrong, spoilt, variable_of

INSTALLED = {"example": lambda: plugin, "other": lambda: plugin}
OUR_WORDS = {
    "static",
    "apikeys",
    "sessions",
    "reference",
    "resource",
    "licence",
    "contiguous",
}  # these stand in the bridge's own texts, whatever is set


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_every_problem_is_named_at_once(wrong: Wrong, good: dict[str, str], tmp_path: Path) -> None:
    """Whatever is wrong, the error has all of it, each by the name of its variable, and nothing else."""
    environ = spoilt(good, wrong, tmp_path)

    with pytest.raises(ConfigError) as error:
        load(environ, INSTALLED)

    assert {variable_of(problem) for problem in error.value.problems} == wrong.named


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_no_problem_repeats_a_value(wrong: Wrong, good: dict[str, str], tmp_path: Path) -> None:
    """No value that was set, right or wrong, and no content of a file stands in a problem."""
    environ = spoilt(good, wrong, tmp_path)

    with pytest.raises(ConfigError) as error:
        load(environ, INSTALLED)

    given = {value for name, value in (wrong.change | {"": "correct horse"}).items() if value and len(value) > 5}
    given |= {"hunter2", str(tmp_path)}
    assert not [value for value in given - OUR_WORDS if value in str(error.value)]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_configuration_leaves_the_disk_alone(wrong: Wrong, good: dict[str, str], tmp_path: Path) -> None:
    """Nothing is created, changed or removed before the settings are valid."""
    environ = spoilt(good, wrong, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    with pytest.raises(ConfigError):
        load(environ, INSTALLED)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_there_are_at_least_fifty() -> None:
    """The table does not shrink below what was promised."""
    assert len(WRONG) >= 50
