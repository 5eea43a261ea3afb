"""The journal's rows wherever they are: in a file that no bridge runs on, or with a bridge that runs.

Both give the JSON of `bridge.rows`. Used by `bridge.commands.journal`.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from bridge.commands.configuration import configured
from bridge.commands.remote import Remote, bridge_at, journal_or_bridge
from bridge.errors import StorageFailed
from bridge.journal import StoppedJournal, open_stopped
from bridge.rows import overview, shown_rows

__all__ = ["Direct", "JournalAccess", "Row", "journal_access"]

Row = Mapping[str, Any]


class JournalAccess(Protocol):
    """What can be asked, whether or not a bridge runs; `configured` are the sinks of the settings, if these count."""

    configured: Sequence[str]

    def overview(self) -> Mapping[str, Any]:
        """Say what the journal holds, as `bridge.rows.overview` writes it."""
        ...

    def rows(self, after: int, limit: int, *, bodies: bool) -> Sequence[Row]:
        """Give the next rows behind a number."""
        ...


@contextmanager
def journal_access(file: Path | None, url: str | None) -> Iterator[JournalAccess]:
    """Open a file by itself, ask the bridge at `url`, or open what the settings name: the journal, or its bridge."""
    if file is not None:
        if not file.exists():
            raise StorageFailed(f"there is no file {file}")
        with open_stopped(file, 0, reads=True) as journal:
            yield Direct(journal, file)
        return
    if url is not None:
        yield _Running(bridge_at(url), ())
        return
    settings = configured().settings
    with journal_or_bridge(settings, reads=True) as found:
        if isinstance(found, Remote):
            yield _Running(found, settings.sinks)
        else:
            yield Direct(found, settings.journal.path, settings.sinks)


class Direct:
    """The rows of a stopped journal."""

    def __init__(self, journal: StoppedJournal, path: Path, configured: Sequence[str] = ()) -> None:
        self.configured = configured
        self._journal = journal
        self._path = path

    def overview(self) -> Mapping[str, Any]:
        """Say what it holds."""
        return overview(asyncio.run(self._journal.inspection.state()), str(self._path))

    def rows(self, after: int, limit: int, *, bodies: bool) -> Sequence[Row]:
        """Give the next rows behind a number."""
        places, chunks = asyncio.run(self._journal.inspection.page(after, limit))
        return shown_rows(chunks, after, places, bodies=bodies)


class _Running:
    """The rows of a bridge that runs, over its admin port."""

    def __init__(self, bridge: Remote, configured: Sequence[str]) -> None:
        self.configured = configured
        self._bridge = bridge

    def overview(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self._bridge.asked("/journal"))
        return found

    def rows(self, after: int, limit: int, *, bodies: bool) -> Sequence[Row]:
        query = {"after": after, "limit": limit} | ({"bodies": "true"} if bodies else {})
        return [json.loads(line) for line in self._bridge.asked(f"/journal/rows?{urlencode(query)}").splitlines()]
