"""The house is as ARCHITECTURE.md draws it: arrows one way, known rooms, every sink of the same shape."""

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    *("pyproject.toml", "README.md", "bridge", "sinks", "tests", "helm", "docker-compose.yml"),  # the customer's
    *("Makefile", "Dockerfile", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"),
    *("requirements.lock", "requirements-dev.lock", "requirements-chart.lock", "requirements-tools.lock"),
    *("requirements-audit.lock", "requirements-docs.lock"),
    *("docs", "examples", ".ci", ".github", ".gitignore", ".dockerignore", ".env.example"),
}
SINKS = sorted(folder for folder in (ROOT / "sinks").iterdir() if (folder / "__init__.py").exists())
MODULES = sorted(path for part in ("bridge", "sinks") for path in (ROOT / part).rglob("*.py"))


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout: run the tests in a clone")
    return listed.stdout.split("\n")[:-1]


def test_arrows_run_one_way() -> None:
    """The contracts of import-linter in pyproject.toml hold."""
    lint = Path(sys.executable).with_name("lint-imports")

    checked = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_top_level_holds_only_what_belongs_there() -> None:
    assert {name.split("/")[0] for name in tracked()} <= ROOMS


@pytest.mark.parametrize("folder", SINKS, ids=lambda folder: folder.name)
def test_every_sink_has_the_same_shape(folder: Path) -> None:
    """Know one, know all: four files, a README, a sample, an entry point, and one file with the client library."""
    names = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    plugins = {point.name: point.value for point in entry_points(group="portos_bridge.sinks")}

    assert names >= {"__init__.py", "config.py", "records.py", "sink.py", "README.md", "sample.env"}
    assert plugins.get(folder.name) == f"sinks.{folder.name}:plugin"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_file_names_a_registry_or_a_machine() -> None:
    """Locks carry hashes, never addresses."""
    for name in tracked():
        if name.startswith("requirements"):
            assert "://" not in (ROOT / name).read_text(), name
    assert "uv.lock" not in tracked()
