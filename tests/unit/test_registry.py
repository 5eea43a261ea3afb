"""How installed sinks are found: through real entry points of real distributions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import registry
from bridge.errors import ConfigError

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay out a distribution as an installer would, with a module of the same name."""

    def lay_out(distribution: str, entry: str, code: str = "") -> None:
        folder = tmp_path / distribution
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[portos_bridge.sinks]\n{entry}\n")
        (folder / f"{distribution}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)

    return lay_out


def test_an_installed_sink_is_found_by_name(install: Install) -> None:
    """Whatever is installed with an entry point of the group can be fed."""
    install("lamp_one", "lamp = tests.unit.settings.example:plugin")

    assert registry.installed()["lamp"]().config.__name__ == "ExampleConfig"


def test_finding_imports_nothing(install: Install) -> None:
    """The client library of a sink that is not fed costs nothing, and cannot break the start."""
    install("lamp_two", "lamp = lamp_two:plugin", "raise SystemError('imported')")

    assert "lamp" in registry.installed()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import no_such_library", "ModuleNotFoundError"),
        ("raise SystemError('licence missing')", "licence missing"),
        ("other = 1", "has no attribute 'plugin'"),
        ("plugin = object()", "is no SinkPlugin"),
        ("from bridge.ports import SinkPlugin\nplugin = SinkPlugin(dict, dict)", "is no SinkPlugin"),
        ("from bridge.ports import SinkPlugin\nplugin = SinkPlugin('text', dict)", "is no SinkPlugin"),
    ],
    ids=["missing library", "raises", "no plugin", "no SinkPlugin", "no SinkConfig", "no class"],
)
def test_a_broken_sink_is_a_problem_of_the_configuration(
    code: str, why: str, install: Install, request: pytest.FixtureRequest
) -> None:
    """An operator is told which sink is broken and why, by the variable that names it."""
    module = "broken_" + request.node.callspec.id.replace(" ", "_").lower()
    install(module, f"lamp = {module}:plugin", code)

    with pytest.raises(ConfigError, match=r"^PORTOS_BRIDGE_SINKS: the sink lamp cannot be used: ") as error:
        registry.installed()["lamp"]()

    assert why in str(error.value)


def test_two_sinks_of_one_name_are_refused(install: Install) -> None:
    """Which of two would be fed must not depend on the order of installation."""
    install("lamp_three", "lamp = lamp_three:plugin")
    install("lamp_four", "lamp = lamp_four:plugin")

    with pytest.raises(ConfigError, match=r"lamp_four:plugin, lamp_three:plugin"):
        registry.installed()["lamp"]()
