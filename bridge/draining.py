"""What of a stop the sinks get yet: a last attempt at once, and some time, as long as it can come to something.

Used by `bridge.service`, once the hub is left.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from bridge.journal import Journal
from bridge.link import Link

__all__ = ["drain"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1


async def drain(journal: Journal, links: Mapping[str, Link], seconds: float) -> None:
    """Let all readers of the journal, by name, go on with what is stored, for at most so long.

    Whose next attempt would come too late is not waited for. What is left is delivered after the next start.
    """
    if journal.events:
        _log.info("the hub is left; up to %d events are delivered yet, for at most %g s", journal.events, seconds)
    for link in links.values():
        link.pausing.end()
    clock = asyncio.get_running_loop().time
    ends_at = clock() + seconds
    left = seconds
    while not _hopeless(journal, links, left):
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                await journal.drained()
                return
        if (left := ends_at - clock()) <= 0:
            break
    _tell_what_stays(journal, links)


def _hopeless(journal: Journal, links: Mapping[str, Link], seconds: float) -> bool:
    """Tell whether nobody who has something left will try again within so long."""
    late = [links[name].pausing.seconds_left > seconds for name in links if journal.lag(name).events]
    return bool(late) and all(late)


def _tell_what_stays(journal: Journal, links: Mapping[str, Link]) -> None:
    lags = {name: journal.lag(name).events for name in links}
    _log.warning("not everything was delivered before the stop; it stays in the journal: %s", lags)
    for name, link in links.items():
        if lags[name] and (left := link.pausing.seconds_left):
            text = "%s has not got events %d to %d; it is not waited for, since its next attempt is due in %.0f s: %s"
            _log.warning(text, link.name, journal.cursor(name) + 1, journal.head, left, link.last_error)
