"""A sink's settings with what the files of its secrets hold now."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.settings.loading import Configuration, load, reread
from tests.unit.settings.example import ExampleConfig, plugin

TOKEN = "PORTOS_BRIDGE_SINK__EXAMPLE__TOKEN"
POOL = "PORTOS_BRIDGE_SINK__EXAMPLE__POOL__PASSWORD"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One file by its own variable, and one in the secrets directory."""
    found = {TOKEN: tmp_path / "token", POOL: tmp_path / "secrets" / POOL.lower()}
    for file in found.values():
        file.parent.mkdir(exist_ok=True)
        file.write_text("first-4711\n")
    return found


def loaded(good: Mapping[str, str], files: Mapping[str, Path]) -> Configuration:
    environ = {**good, f"{TOKEN}_FILE": str(files[TOKEN]), "PORTOS_BRIDGE_SECRETS_DIR": str(files[POOL].parent)}
    return load(environ, {"example": lambda: plugin})


def again(configuration: Configuration) -> ExampleConfig:
    config = reread("PORTOS_BRIDGE_SINK__EXAMPLE__", configuration.sinks["example"][1], configuration.secret_files)
    assert isinstance(config, ExampleConfig)
    return config


def test_it_is_known_which_secrets_are_files(good: dict[str, str], files: dict[str, Path]) -> None:
    """One that is given as a variable is not among them."""
    configuration = loaded(good, files)

    assert configuration.secret_files == files


def test_nothing_changes_where_the_files_do_not(good: dict[str, str], files: dict[str, Path]) -> None:
    configuration = loaded(good, files)

    assert again(configuration) == configuration.sinks["example"][1]


def test_what_the_files_hold_now_is_taken_and_all_else_stays(good: dict[str, str], files: dict[str, Path]) -> None:
    """Whichever way it was given, and however deep it stands."""
    configuration = loaded(good | {"PORTOS_BRIDGE_SINK__EXAMPLE__NAMES": "x,y"}, files)
    files[TOKEN].write_text("second-4712")
    files[POOL].write_text("third-4713\n")

    config = again(configuration)

    secrets = [secret.get_secret_value() for secret in (config.token, config.pool.password) if secret]
    assert secrets == ["second-4712", "third-4713"]
    assert (config.url, config.names) == ("example://here", ("x", "y"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "its file cannot be read"), (b"", "its file is empty"), (b"\xff", "not UTF-8"), (b"bad-4714", "is bad")],
)
def test_what_is_of_no_use_is_told_without_the_secret(
    good: dict[str, str], files: dict[str, Path], content: bytes | None, said: str
) -> None:
    """The variable is named; the settings that were good stay as they are."""
    configuration = loaded(good, files)
    files[TOKEN].unlink()
    if content is not None:
        files[TOKEN].write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        again(configuration)

    (problem,) = caught.value.problems
    assert problem.startswith("PORTOS_BRIDGE_SINK__EXAMPLE")
    assert said in problem
    assert "4714" not in problem
