"""`portos-bridge journal repair`: what a start does for a file that it cannot use, where no bridge is to be started."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.commands.configuration import configured
from bridge.commands.journal_access import Direct
from bridge.commands.output import counted, say
from bridge.commands.progress import Progress
from bridge.commands.verification import Verified, verified
from bridge.journal import Repair, Salvaged, open_repaired

__all__ = ["foretold", "repair"]


def repair(*, dry_run: bool, as_json: bool) -> int:
    """Repair the journal of the settings, or say what that would do; 1 where it would have something to do."""
    journal = configured().settings.journal
    done, found = _looked_at(journal.path, journal.max_bytes, dry_run=dry_run)
    if not done.wrong:
        end = "the file can be used as it is: nothing is changed"
    elif dry_run:
        end = "this is what a repair would leave, and a start: nothing is changed"
    else:
        end = "repaired; next: look for the cause, the disk or the file system, then start the bridge"
    _tell(journal.path, done, found, end, dry_run=dry_run, as_json=as_json)
    return 1 if dry_run and done.wrong else 0


def foretold(path: Path, *, named: bool, as_json: bool) -> int:
    """Say of a file that cannot be used what is wrong, and what of it a repair would leave; always 1.

    One that was `named` on the command line is not the bridge's.
    """
    done, found = _looked_at(path, 0, dry_run=True)
    next_step = "next: `portos-bridge journal repair`, or start the bridge, which does the same"
    end = "this is what can be read of it" if named else f"this is what a repair would leave; {next_step}"
    _tell(path, done, found, end, dry_run=True, as_json=as_json)
    return 1


def _tell(  # noqa: PLR0913 - what is told, and how
    path: Path, done: Repair, found: Verified | None, end: str, *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        say([json.dumps(_shown(path, done, found, dry_run=dry_run))])
    else:
        say([*_lines(path, done, found), end])


def _looked_at(path: Path, max_bytes: int, *, dry_run: bool) -> tuple[Repair, Verified | None]:
    """Repair a journal, or say what that would do; and what is in it then, where it can be opened."""
    progress = Progress("pages")
    progress.begin(f"looking at {path}")
    with open_repaired(path, max_bytes, progress, dry_run=dry_run) as (done, opened):
        if opened is not None:
            return done, verified(Direct(opened, done.path))
        return done, None if done.salvaged is None else _foreseen(path, done.salvaged)


def _foreseen(path: Path, salvaged: Salvaged) -> Verified:
    """Write what a new file would hold as one that is there is written."""
    sinks = {
        sink: {"settled": settled, "waiting": salvaged.head - settled}
        for sink, settled in sorted(salvaged.cursors.items())
    }
    holes = [
        {"seq": first, "lastSeq": last, "lost": last - first + 1, "leftBytes": 0} for first, last in salvaged.holes
    ]
    journal = {
        "journal": str(path),
        "head": salvaged.head,
        "sinks": sinks,
        "deadLetters": dict(sorted(salvaged.letters.items())),
    }
    return Verified(journal, salvaged.events, holes)


def _shown(path: Path, done: Repair, found: Verified | None, *, dry_run: bool) -> dict[str, Any]:
    return {
        "journal": str(path),
        "dryRun": dry_run,
        "wrong": list(done.wrong),
        "aside": [str(file) for file in done.aside],
        "forgotten": done.salvaged is not None and done.salvaged.forgotten,
        **({} if found is None else found.shown()),
        "lostAtMost": _lost_at_most(done, found),
    }


def _lost_at_most(done: Repair, found: Verified | None) -> int:
    if done.salvaged is not None:
        return done.salvaged.lost_at_most
    return 0 if found is None else found.lost


def _lines(path: Path, done: Repair, found: Verified | None) -> Iterator[str]:
    for why in done.wrong:
        yield f"wrong: {why}"
    if found is None:
        yield f"journal {path} is of an earlier release, or new: the next start brings it to this one"
    else:
        yield from found.lines()
    if done.salvaged is not None and done.salvaged.forgotten:
        if done.salvaged.lost_at_most > 0:
            yield f"up to {counted(done.salvaged.lost_at_most, 'event')} may be lost: so far the numbers went"
        yield "up to when all was stored is not known any more: the bridge tells it to the sinks, with journal_lost"
    for file in done.aside:
        yield f"the old file is kept as {file}"
