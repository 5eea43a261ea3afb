"""Dead letters wherever they are: in a journal that no bridge runs on, or with a bridge that runs.

Both give and take the JSON of `bridge.letters`. Used by `bridge.commands.dlq`.
"""

import asyncio
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

from bridge.commands.configuration import configured
from bridge.commands.remote import Remote, bridge_at, journal_or_bridge
from bridge.journal import StoppedJournal, Which
from bridge.letters import asked, redriven, shown, told
from bridge.settings import Settings

__all__ = ["LetterAccess", "letter_access"]

_PAGE_LETTERS = 200


class LetterAccess(Protocol):
    """What can be asked, whether or not a bridge runs; `running` says which."""

    running: bool

    def sinks(self) -> Collection[str]:
        """Name the sinks that are configured here, have a place in the journal, or have letters."""
        ...

    def letters(self, which: Which, after: int, *, bodies: bool) -> Sequence[Mapping[str, Any]]:
        """Give the next letters by number, none when there are no more."""
        ...

    def retry(self, which: Which) -> Mapping[str, int]:
        """Have letters sent again."""
        ...

    def purge(self, which: Which) -> int:
        """Throw letters away."""
        ...


@contextmanager
def letter_access(url: str | None) -> Iterator[LetterAccess]:
    """Ask the bridge at `url`, or open the journal of the settings, or ask the bridge that has it."""
    if url is not None:
        yield _Remote(bridge_at(url), ())
        return
    settings = configured().settings
    with journal_or_bridge(settings) as found:
        yield _Remote(found, settings.sinks) if isinstance(found, Remote) else _Direct(found, settings)


class _Direct:
    """The letters of a stopped journal."""

    running = False

    def __init__(self, journal: StoppedJournal, settings: Settings) -> None:
        self._journal = journal
        self._site = settings.site
        self._configured = settings.sinks

    def sinks(self) -> Collection[str]:
        state = asyncio.run(self._journal.inspection.state())
        return {*self._configured, *state.cursors, *state.dead_letters}

    def letters(self, which: Which, after: int, *, bodies: bool) -> Sequence[Mapping[str, Any]]:
        desk = self._journal.desk
        letters = asyncio.run(desk.letters(which, _PAGE_LETTERS, after=after, bodies=bodies))
        return [shown(letter, self._site, bodies=bodies) for letter in letters]

    def retry(self, which: Which) -> Mapping[str, int]:
        now = time.time()
        done = asyncio.run(self._journal.desk.retry(which, now))
        if done.marked:
            self._journal.append([redriven(which, done, self._site, now)])
        return told(done)

    def purge(self, which: Which) -> int:
        return asyncio.run(self._journal.desk.purge(which))


class _Remote:
    """The letters of a bridge that runs, over its admin port."""

    running = True

    def __init__(self, bridge: Remote, configured: Sequence[str]) -> None:
        self._bridge = bridge
        self._configured = configured

    def sinks(self) -> Collection[str]:
        found = json.loads(self._bridge.asked("/journal"))
        return {*self._configured, *found["sinks"], *found["deadLetters"]}

    def letters(self, which: Which, after: int, *, bodies: bool) -> Sequence[Mapping[str, Any]]:
        query = asked(which) | {"after": after, "limit": _PAGE_LETTERS}
        if which.numbers:
            query["numbers"] = ",".join(map(str, which.numbers))
        for name, flag in (("marked", which.marked), ("bodies", bodies or None)):
            if flag is not None:
                query[name] = str(flag).lower()
        lines = self._bridge.asked(f"/dlq?{urlencode(query)}").splitlines()
        return [json.loads(line) for line in lines]

    def retry(self, which: Which) -> Mapping[str, int]:
        done: Mapping[str, int] = json.loads(self._posted("retry", which))
        return done

    def purge(self, which: Which) -> int:
        return int(json.loads(self._posted("purge", which))["purged"])

    def _posted(self, verb: str, which: Which) -> bytes:
        body = json.dumps(asked(which) or {"all": True}).encode()
        return self._bridge.asked(f"/dlq/{verb}", body)
