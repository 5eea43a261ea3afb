"""Dead letters wherever they are: in a journal that no bridge runs on, or with a bridge that runs.

Both give and take the JSON of `bridge.letters`. Used by `bridge.commands.dlq`.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from bridge.errors import BridgeError, ConfigError, JournalOwned
from bridge.journal import StoppedJournal, Which, open_stopped
from bridge.letters import asked, redriven, shown, told
from bridge.settings import Settings

__all__ = ["LetterAccess", "Refused", "letter_access"]

_DEADLINE_SECONDS = 60.0
_PAGE_LETTERS = 200
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
_UNAUTHORIZED, _FORBIDDEN = 401, 403


class Refused(BridgeError):
    """The bridge that runs did not do what it was asked for; the text is its own."""


class LetterAccess(Protocol):
    """What can be asked, whether or not a bridge runs; `running` says which."""

    running: bool

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
def letter_access(settings: Settings, url: str | None) -> Iterator[LetterAccess]:
    """Open the journal, or ask the bridge at `url`, or the one on this machine that the journal belongs to.

    Raises `JournalOwned` when a bridge has it that does not answer here.
    """
    token = settings.admin.token
    secret = None if token is None else token.get_secret_value()
    if url is not None:
        yield _Remote(url, secret)
        return
    try:
        with open_stopped(settings.journal.path, settings.journal.max_bytes) as journal:
            yield _Direct(journal, settings.site)
            return
    except JournalOwned as owned:
        host = _ANYWHERE.get(settings.admin.host, settings.admin.host)
        remote = _Remote(f"http://{host}:{settings.admin.port}", secret)
        if not remote.answers():
            text = f"{owned}; it does not answer at {remote.url}: say with --url where its admin port is"
            raise JournalOwned(text) from owned
    yield remote


class _Direct:
    """The letters of a stopped journal."""

    running = False

    def __init__(self, journal: StoppedJournal, site: str) -> None:
        self._journal = journal
        self._site = site

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

    def __init__(self, url: str, token: str | None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(["--url: should be http://host:port of the bridge's admin port"])
        self.url = url.rstrip("/")
        self._token = token

    def answers(self) -> bool:
        """Whether a bridge is there."""
        try:
            self._asked(Request(f"{self.url}/livez"))  # noqa: S310 - the scheme is checked above
        except Refused:
            return False
        return True

    def letters(self, which: Which, after: int, *, bodies: bool) -> Sequence[Mapping[str, Any]]:
        query = asked(which) | {"after": after, "limit": _PAGE_LETTERS}
        if which.numbers:
            query["numbers"] = ",".join(map(str, which.numbers))
        for name, flag in (("marked", which.marked), ("bodies", bodies or None)):
            if flag is not None:
                query[name] = str(flag).lower()
        lines = self._asked(Request(f"{self.url}/dlq?{urlencode(query)}")).splitlines()  # noqa: S310 - checked above
        return [json.loads(line) for line in lines]

    def retry(self, which: Which) -> Mapping[str, int]:
        done: Mapping[str, int] = json.loads(self._posted("retry", which))
        return done

    def purge(self, which: Which) -> int:
        return int(json.loads(self._posted("purge", which))["purged"])

    def _posted(self, verb: str, which: Which) -> bytes:
        body = json.dumps(asked(which) or {"all": True}).encode()
        return self._asked(Request(f"{self.url}/dlq/{verb}", data=body, method="POST"))  # noqa: S310 - checked above

    def _asked(self, request: Request) -> bytes:
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=_DEADLINE_SECONDS) as answer:  # noqa: S310 - checked above
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            with error:
                said = error.read().decode(errors="replace").strip()
            if error.code in (_UNAUTHORIZED, _FORBIDDEN):
                raise ConfigError([f"{self.url}: {said}"]) from error
            raise Refused(f"{self.url}: {said or error}") from error
        except (OSError, HTTPException) as error:
            raise Refused(f"{self.url} does not answer: {error}") from error
