"""`portos-bridge journal`: look into the journal, check it, write it out; repair or trim that of a stopped bridge.

Every answer says what to do next.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.commands.journal_access import JournalAccess, Row, journal_access
from bridge.commands.journal_repair import foretold, repair
from bridge.commands.journal_trim import before, trim
from bridge.commands.output import say
from bridge.commands.remote import Refused
from bridge.commands.sink_name import check_sink
from bridge.commands.verification import last_of, rows_of, verified
from bridge.journal import Unusable

__all__ = ["main"]

_LISTED_ROWS = 50
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
    if options.verb == "trim":
        return trim(options.before, yes=options.yes, dry_run=options.dry_run, as_json=options.as_json)
    if options.verb == "repair":
        return repair(dry_run=options.dry_run, as_json=options.as_json)
    try:
        with journal_access(options.file, options.url) as access:
            if getattr(options, "sink", None) is not None:
                check_sink(options.sink, (*access.configured, *access.overview()["sinks"]))
            return _VERBS[options.verb](access, options)
    except Unusable as error:
        if options.verb != "verify":
            raise
        return foretold(error.path, named=options.file is not None, as_json=options.as_json)
    except Refused as error:
        print(f"portos-bridge: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portos-bridge journal",
        description="Looks into the journal: what is stored, and for whom it waits; repairs and trims it.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True, title="verbs")
    for verb, text in (
        ("verify", "read it through, and say what is damaged"),
        ("ls", "show what is stored in a table, oldest first"),
        ("show", "show all that is known of some events"),
        ("export", "write it out, a JSON object a line"),
        ("repair", "do for a damaged file what a start would do, without one"),
        ("trim", "give up events that wait, for good, and have the sinks told"),
    ):
        one = verbs.add_parser(verb, help=text, description=f"The journal: {text}.")
        if verb in ("verify", "ls", "show", "repair", "trim"):
            one.add_argument("--json", dest="as_json", action="store_true", help="a JSON object a line")
        if verb == "trim":
            limit = "those with a lower number, or received earlier: 4711, 2h, 3d, 2026-03-04T09:15Z"
            one.add_argument("--before", type=before, required=True, metavar="NUMBER|TIME", help=limit)
            one.add_argument("--yes", action="store_true", help="do not ask")
        if verb in ("repair", "trim"):
            one.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
            continue
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
        if verb in ("show", "export"):
            one.add_argument("--bodies", action="store_true", help="what the hub sent as well; it may be personal data")
    return parser


def _verify(access: JournalAccess, options: argparse.Namespace) -> int:
    found = verified(access)
    if options.as_json:
        say([json.dumps(found.shown())])
    else:
        say([*found.lines(), *([] if found.lost else ["nothing is damaged"])])
    return 1 if found.lost else 0


def _ls(access: JournalAccess, options: argparse.Namespace) -> int:
    rows = (row for row in rows_of(access, options.after) if _is_meant(row, options))
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
        count, last = count + 1, last_of(row)
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
        row = next((row for row in rows if row["seq"] <= number <= last_of(row)), None)
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
    rows = rows_of(access, options.after, bodies=options.bodies)
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
