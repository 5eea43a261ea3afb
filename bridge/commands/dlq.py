"""`portos-bridge dlq`: look at dead letters, have them sent again, throw them away; on a bridge that runs or not.

Every answer says what to do next.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.commands.confirmation import confirmed
from bridge.commands.letter_access import LetterAccess, letter_access
from bridge.commands.moment import moment
from bridge.commands.output import counted, say
from bridge.commands.remote import Refused
from bridge.commands.sink_name import check_sink
from bridge.journal import Which
from bridge.labels import JOURNAL, SOURCE

__all__ = ["main"]

_COLUMNS = (
    ("number", "number", 8),
    ("lastAt", "last attempt", 24),
    ("sink", "sink", 8),
    ("reason", "reason", 14),
    ("resource", "resource", 16),
    ("id", "id", 26),
    ("version", "version", 8),
    ("attempts", "tries", 5),
    ("bytes", "bytes", 9),
    ("state", "state", 1),
)
_ASKED_NUMBERS = 200  # a longer line than these make is refused by the admin port
_ADVICE = {
    "kept": ("next: `portos-bridge dlq show NUMBER` says why; remove the cause, then `dlq retry --sink SINK`"),
    "to be sent": "those to be sent go as soon as their sink is connected and has nothing older on its way",
    "overtaken": ("the overtaken are not sent any more, since their sink has a newer version; `dlq purge` drops them"),
    "no event": "those without an event hold nothing to send: `dlq show NUMBER` says why, `dlq purge` drops them",
}
_Letter = Mapping[str, Any]


def main(argv: Sequence[str]) -> int:
    """Run one verb: 0 when it was carried out, 1 when it was refused, not confirmed, or about what is not there."""
    parser = _parser()
    options = parser.parse_args(argv)
    which = _which(options)
    if options.verb in ("retry", "purge") and which == Which() and not options.all:
        parser.error(f"say which letters to {options.verb}: by number, --sink, --reason, ..., or --all")
    try:
        with letter_access(options.url) as access:
            if which.sink is not None:
                check_sink(which.sink, (SOURCE, JOURNAL, *access.sinks()))
            missing = _missing(access, which)
            if missing:
                numbers = ", ".join(map(str, missing))
                _complain(f"no dead letter {numbers} is like that; it may have been sent: `dlq list` shows all")
            if missing and len(missing) == len(which.numbers):
                return 1
            return max(_VERBS[options.verb](access, which, options), 1 if missing else 0)
    except Refused as error:
        _complain(str(error))
        return 1


def _complain(text: str) -> None:
    print(f"portos-bridge: {text}", file=sys.stderr)  # noqa: T201 - the command's output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portos-bridge dlq", description="Looks at dead letters: events that a sink would not take, and why."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True, title="verbs")
    for verb, text in (
        ("list", "show them in a table, oldest first"),
        ("show", "show all that is known of some of them"),
        ("retry", "send them again, now that the cause is removed"),
        ("purge", "throw them away for good"),
    ):
        one = verbs.add_parser(verb, help=text, description=f"Dead letters: {text}.")
        one.add_argument("numbers", nargs="+" if verb == "show" else "*", type=int, metavar="NUMBER")
        one.add_argument("--sink", help="of this sink; source for records that were no event")
        one.add_argument("--reason", help="with this reason, as in the metrics: too_large")
        one.add_argument("--resource", metavar="NAME", help="of this resource: tickets")
        one.add_argument("--id", help="of the resource, or of the event, with this id")
        one.add_argument(
            "--since", type=moment, metavar="TIME", help="tried last since then: 2h, 3d, or 2026-03-04T09:15Z"
        )
        one.add_argument("--until", type=moment, metavar="TIME", help="tried last before then")
        one.add_argument("--url", help="admin port of a bridge elsewhere: http://host:8080")
        if verb in ("list", "show"):
            one.add_argument("--json", dest="as_json", action="store_true", help="a JSON object a line")
            one.add_argument(
                "--bodies", action="store_true", help="the events themselves as well; they may be personal data"
            )
        if verb == "list":
            one.add_argument("--marked", action="store_true", help="only those that are to be sent again")
        if verb in ("retry", "purge"):
            one.add_argument("--all", action="store_true", help="all of them")
        if verb == "purge":
            one.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _which(options: argparse.Namespace) -> Which:
    return Which(
        sink=options.sink,
        reason=options.reason,
        resource=options.resource,
        id=options.id,
        since=options.since,
        until=options.until,
        numbers=tuple(sorted(set(options.numbers))),
        marked=True if getattr(options, "marked", False) else None,
    )


def _letters(access: LetterAccess, which: Which, *, bodies: bool) -> Iterator[_Letter]:
    numbers = which.numbers
    for begin in range(0, max(len(numbers), 1), _ASKED_NUMBERS):
        some = replace(which, numbers=numbers[begin : begin + _ASKED_NUMBERS])
        after = 0
        while letters := access.letters(some, after, bodies=bodies):
            yield from letters
            after = letters[-1]["number"]


def _missing(access: LetterAccess, which: Which) -> Sequence[int]:
    """Give the numbers asked for of which there is no letter that is meant."""
    there = {letter["number"] for letter in _letters(access, which, bodies=False)} if which.numbers else set()
    return [number for number in which.numbers if number not in there]


def _list(access: LetterAccess, which: Which, options: argparse.Namespace) -> int:
    letters = _letters(access, which, bodies=options.bodies)
    if options.as_json:
        say(json.dumps(letter) for letter in letters)
        return 0
    say(_table(letters, which, bodies=options.bodies))
    return 0


def _table(letters: Iterator[_Letter], which: Which, *, bodies: bool) -> Iterator[str]:
    states: Counter[str] = Counter()
    for letter in letters:
        if not states:
            yield _row({name: heading for name, heading, _ in _COLUMNS})
        states[letter["state"]] += 1
        yield _row(letter)
        if bodies:
            yield f"          {letter['body']}"
    total = states.total()
    if not total and which == Which():
        yield "no dead letters: nothing to do"
    elif not total:
        yield "no dead letter is like that; `portos-bridge dlq list` shows all"
    else:
        each = ", ".join(f"{count} {state}" for state, count in states.most_common())
        yield f"{counted(total, 'dead letter')}: {each}"
        yield from (text for state, text in _ADVICE.items() if states[state])


def _row(letter: _Letter) -> str:
    return " ".join(f"{_cell(letter[name]):{width}}" for name, _, width in _COLUMNS)


def _show(access: LetterAccess, which: Which, options: argparse.Namespace) -> int:
    letters = list(_letters(access, which, bodies=options.bodies))
    if options.as_json:
        say(json.dumps(letter) for letter in letters)
    else:
        say(line for letter in letters for line in _whole(letter))
    return 0


def _whole(letter: _Letter) -> Iterator[str]:
    attributes: Mapping[str, str] = letter.get("attributes", {})
    for name, value in letter.items():
        if name not in ("attributes", "body"):
            yield f"{name:12}  {_cell(value)}"
    for name, text in attributes.items():
        yield f"{'attribute':12}  {name}: {text}"
    if "body" in letter:
        yield f"{'body':12}  {letter['body']}"
    elif letter["bytes"]:
        yield f"{'body':12}  {letter['bytes']} bytes; --bodies shows them"
    yield ""


def _retry(access: LetterAccess, which: Which, _: argparse.Namespace) -> int:
    say(_retried(access.retry(which), running=access.running))
    return 0


def _retried(done: Mapping[str, int], *, running: bool) -> Iterator[str]:
    if not done["meant"]:
        yield "no dead letter is like that: nothing is sent; `portos-bridge dlq list` shows all"
        return
    when = "now, as soon as the sink is connected" if running else "when the bridge is started again"
    if done["marked"]:
        yield f"{counted(done['marked'], 'dead letter is', 'dead letters are')} sent {when}"
        yield "next: `portos-bridge dlq list` shows what is left; what is refused again stays, with the reason"
    if done["waiting"]:
        waiting = counted(done["waiting"], "was", "were")
        yield f"{waiting} to be sent already: `portos-bridge dlq list --marked` shows what is"
    if done["overtaken"]:
        skipped = counted(done["overtaken"], "is skipped: its", "are skipped: their")
        yield f"{skipped} sink has a newer version of the resource; `dlq purge` drops what is overtaken"
    if done["withoutEvent"]:
        without = counted(done["withoutEvent"], "holds", "hold")
        yield f"{without} no event that could be sent: `dlq show NUMBER` says why"
    if not done["marked"]:
        yield "nothing has changed"


def _purge(access: LetterAccess, which: Which, options: argparse.Namespace) -> int:
    sinks = Counter(letter["sink"] for letter in _letters(access, which, bodies=False))
    if not sinks:
        say(["no dead letter is like that: nothing has changed"])
        return 0
    say(f"to be thrown away, of {sink}: {counted(count, 'dead letter')}" for sink, count in sorted(sinks.items()))
    if not options.yes and not confirmed("throw them away for good?", "--yes throws them away"):
        say(["nothing has changed"])
        return 1
    say([f"{counted(access.purge(which), 'dead letter is', 'dead letters are')} gone for good"])
    return 0


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case -1:
            return "unknown"  # what overtook a letter that an earlier release kept
        case _:
            return str(value)


_VERBS = {"list": _list, "show": _show, "retry": _retry, "purge": _purge}
