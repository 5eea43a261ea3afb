"""`portos-bridge journal`: look into the journal, check it, write it out; on a bridge that runs or not.

Every answer says what to do next.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.commands.journal_access import JournalAccess, Row, journal_access
from bridge.commands.output import say
from bridge.commands.remote import Refused

__all__ = ["main"]

_PAGE_ROWS = 500
_LISTED_ROWS = 50
_PROGRESS_SECONDS = 1.0
_COLUMNS = (
    ("seq", "number", 10),
    ("receivedAt", "received", 24),
    ("resource", "resource", 16),
    ("resourceId", "id", 26),
    ("version", "version", 8),
    ("action", "action", 8),
    ("bytes", "bytes", 9),
    ("waitingFor", "waiting for", 1),
)


def main(argv: Sequence[str]) -> int:
    """Run one verb: 0 when all is well, 1 when something is damaged or not there, or the bridge refused."""
    options = _parser().parse_args(argv)
    try:
        with journal_access(options.file, options.url) as access:
            return _VERBS[options.verb](access, options)
    except Refused as error:
        print(f"portos-bridge: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portos-bridge journal", description="Looks into the journal: what is stored, and for whom it waits."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True, title="verbs")
    for verb, text in (
        ("verify", "read it through, and say what is damaged"),
        ("ls", "show what is stored in a table, oldest first"),
        ("show", "show all that is known of some events"),
        ("export", "write it out, a JSON object a line"),
    ):
        one = verbs.add_parser(verb, help=text, description=f"The journal: {text}.")
        where = one.add_mutually_exclusive_group()
        where.add_argument("--url", help="admin port of a bridge elsewhere: http://host:8080")
        where.add_argument("--file", type=Path, help="another file: one that was moved aside")
        if verb == "show":
            one.add_argument("numbers", nargs="+", type=int, metavar="NUMBER")
        if verb in ("ls", "export"):
            one.add_argument("--sink", help="what waits for this sink")
            one.add_argument("--resource", metavar="NAME", help="of this resource: tickets")
            one.add_argument("--id", help="of the resource, or the event, with this id")
            one.add_argument("--after", type=int, default=0, metavar="NUMBER", help="what is behind this number")
        if verb == "ls":
            one.add_argument("--limit", type=int, default=_LISTED_ROWS, help="so many at most (%(default)s)")
        if verb in ("verify", "ls", "show"):
            one.add_argument("--json", dest="as_json", action="store_true", help="a JSON object a line")
        if verb in ("show", "export"):
            one.add_argument("--bodies", action="store_true", help="what the hub sent as well; it may be personal data")
    return parser


def _rows(access: JournalAccess, after: int, *, bodies: bool = False) -> Iterator[Row]:
    """Give all rows behind a number; a journal that goes on growing is read to where it ended at the beginning."""
    head = access.overview()["head"]
    while after < head and (rows := access.rows(after, _PAGE_ROWS, bodies=bodies)):
        yield from rows
        after = _last(rows[-1])


def _last(row: Row) -> int:
    return int(row.get("lastSeq", row["seq"]))


def _verify(access: JournalAccess, options: argparse.Namespace) -> int:
    found = dict(access.overview())
    events = lost = 0
    holes: list[Row] = []
    for row in _with_progress(_rows(access, found["freed"]), found["freed"], found["head"]):
        if "lost" in row:
            lost += row["lost"]
            holes.append(row)
        else:
            events += 1
    if options.as_json:
        say([json.dumps(found | {"events": events, "lost": lost, "holes": holes})])
    else:
        say(_verified(found, events, lost, holes))
    return 1 if lost else 0


def _verified(found: Row, events: int, lost: int, holes: Sequence[Row]) -> Iterator[str]:
    yield f"journal {found['journal']}: {events} events are stored and whole, up to number {found['head']}"
    for sink, place in found["sinks"].items():
        yield f"sink {sink}: settled up to number {place['settled']}, {place['waiting']} events wait for it"
    for sink, count in found["deadLetters"].items():
        yield f"{count} dead letters of {sink}: `portos-bridge dlq list --sink {sink}` shows them"
    for hole in holes:
        left = f", {hole['leftBytes']} bytes are left of them" if hole["leftBytes"] else ""
        yield f"lost: numbers {hole['seq']} to {_last(hole)}{left}"
    if lost:
        yield f"{lost} events are lost; nothing is to be done: the bridge tells it to the sinks in their place"
    else:
        yield "nothing is damaged"


def _with_progress(rows: Iterator[Row], freed: int, head: int) -> Iterator[Row]:
    """Say on a terminal how far it is, where it takes long."""
    told_at = time.monotonic()
    terminal = sys.stderr.isatty()
    for row in rows:
        if terminal and time.monotonic() - told_at >= _PROGRESS_SECONDS:
            told_at = time.monotonic()
            share = (_last(row) - freed) / max(head - freed, 1)
            print(f"\r{share:4.0%} of {head - freed} events", end="\r", file=sys.stderr, flush=True)  # noqa: T201
        yield row


def _ls(access: JournalAccess, options: argparse.Namespace) -> int:
    rows = (row for row in _rows(access, options.after) if _is_meant(row, options))
    say(_listed(rows, options.limit, as_json=options.as_json))
    return 0


def _listed(rows: Iterator[Row], limit: int, *, as_json: bool) -> Iterator[str]:
    count = last = 0
    for row in rows:
        if count == limit:
            if not as_json:
                yield f"and more: --after {last} goes on, --limit shows more at once"
            return
        if as_json:
            yield json.dumps(row)
        else:
            if not count:
                yield _line({name: heading for name, heading, _ in _COLUMNS})
            yield _line(row)
        count, last = count + 1, _last(row)
    if not count and not as_json:
        yield "nothing is stored that is like that: every sink has settled it, or it never came"


def _line(row: Row) -> str:
    if "lost" in row:
        return f"{row['seq']:<10} {row['lost']} events are lost, to number {row['lastSeq']}"
    resource = row["resource"] or row.get("event")
    return " ".join(f"{_cell(resource if name == 'resource' else row[name]):{width}}" for name, _, width in _COLUMNS)


def _cell(value: object) -> str:
    match value:
        case None | []:
            return "-"
        case list():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _show(access: JournalAccess, options: argparse.Namespace) -> int:
    missing = 0
    for number in options.numbers:
        rows = access.rows(number - 1, 1, bodies=options.bodies)
        row = next((row for row in rows if row["seq"] <= number <= _last(row)), None)
        if row is None:
            missing += 1
            said = f"number {number} is not stored: every sink has settled it, or it was never given"
            print(f"portos-bridge: {said}", file=sys.stderr)  # noqa: T201 - the command's output
        elif options.as_json:
            say([json.dumps(row)])
        else:
            say([*(f"{name:11}  {_cell(value)}" for name, value in row.items()), ""])
    return 1 if missing else 0


def _export(access: JournalAccess, options: argparse.Namespace) -> int:
    rows = _rows(access, options.after, bodies=options.bodies)
    say((json.dumps(row) for row in rows if _is_meant(row, options)), exactly=True)
    return 0


def _is_meant(row: Row, options: argparse.Namespace) -> bool:
    """Say whether a row is among those asked for; what is lost may have been any."""
    if "lost" in row:
        return True
    return (
        (options.sink is None or options.sink in row["waitingFor"])
        and (options.resource is None or options.resource == row["resource"])
        and (options.id is None or options.id in (row["resourceId"], row["id"]))
    )


_VERBS = {"verify": _verify, "ls": _ls, "show": _show, "export": _export}
