import pytest

from bridge.simulator.command import main


def test_an_unknown_option_is_told_and_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """A typo ends the command with a usage line that names it."""
    with pytest.raises(SystemExit) as left:
        main(["--rat", "1"])

    assert left.value.code == 2
    assert "--rat" in capsys.readouterr().err
