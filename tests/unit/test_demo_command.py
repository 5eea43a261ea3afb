"""What the demo says at its end can be typed as it stands."""

import io
from pathlib import Path

import pytest

from bridge.demo.command import called
from bridge.demo.screen import Screen


@pytest.mark.parametrize(
    ("path", "found", "said"),
    [
        (".venv/bin/portos-bridge", False, ".venv/bin/portos-bridge"),
        (".venv/bin/portos-bridge", True, "portos-bridge"),
        ("/usr/local/bin/portos-bridge", True, "portos-bridge"),
        ("bridge/__main__.py", False, "portos-bridge"),
    ],
)
def test_the_program_is_named_as_a_shell_finds_it(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, found: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if found:
        (tmp_path / "portos-bridge").touch(mode=0o755)
    shown = io.StringIO()

    Screen(shown).onwards(called(path))

    assert f"`{said} check --connect`, then `{said} run`" in shown.getvalue()
