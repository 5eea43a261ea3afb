"""The lock beside the journal: one owner at a time, who leaves its name while it lives and no longer."""

from pathlib import Path

import pytest

from bridge.errors import JournalOwned
from bridge.journal.owner import owned


def test_the_next_owner_finds_no_name_of_the_last(tmp_path: Path) -> None:
    """A name in the file is that of a running process, or of one that was killed."""
    path = tmp_path / "journal.db"
    with owned(path):
        assert (tmp_path / "journal.db.lock").read_text().startswith("pid ")

    assert (tmp_path / "journal.db.lock").read_text() == ""


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    """The kernel lets go of the lock with the process; the name that a killed one leaves binds nobody."""
    path = tmp_path / "journal.db"
    (tmp_path / "journal.db.lock").write_text("pid 1 on another-host since 2026-01-01T00:00:00.000Z and a long tail")

    with owned(path):
        assert "another-host" not in (tmp_path / "journal.db.lock").read_text()


def test_an_owner_that_could_not_leave_its_name_is_still_the_owner(tmp_path: Path) -> None:
    """The lock holds without a name, and the error says so."""
    path = tmp_path / "journal.db"
    with owned(path):
        (tmp_path / "journal.db.lock").write_text("")

        with pytest.raises(JournalOwned, match="which has not left its name"), owned(path):
            pass
