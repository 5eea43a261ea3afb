"""Settings that change while the bridge runs: read anew on SIGHUP, and when their directory holds something else.

What is read is valid as a whole or nothing of it counts. What can takes effect at once, without any connection being
touched; what differs besides is named once, since it waits for a restart. Run by `bridge.service`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeVar

from bridge import log
from bridge.errors import ConfigError
from bridge.metrics import Catalogue
from bridge.renewal import Watch
from bridge.settings import Settings
from bridge.settings.change import Decision, decided
from bridge.settings.effective import Effective
from bridge.settings.file import read_folder
from bridge.settings.loading import Configuration
from bridge.threads import Asking

__all__ = ["Reload", "Sources"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 10.0
_MOST_HANGING = 6  # beside each other, but for those that somebody asks for: each keeps a thread


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings are read anew, by a function that blocks and raises `ConfigError`, and what asks for it."""

    read: Callable[[], Configuration]
    hangup: asyncio.Event


class Reload:
    """See the module. `use` is handed the settings when filters have changed.

    What is read may lie on a mount that hangs: it is waited for so long, told, left behind and tried again.
    """

    def __init__(
        self, effective: Effective, sources: Sources, catalogue: Catalogue, use: Callable[[Settings], None]
    ) -> None:
        self._effective = effective
        self._sources = sources
        self._catalogue = catalogue
        self._use = use
        self._waiting: Mapping[str, object] = {}
        self._asking = Asking(_ANSWER_SECONDS + _AGAIN_SECONDS, _MOST_HANGING)
        self._again_at = 0.0

    async def run(self) -> NoReturn:
        """Read anew whenever that is asked for, or a change of the directory stands; and what is wrong again and again.

        For what is wrong may lie elsewhere, in a file that a setting names.
        """
        running = self._effective.configuration
        folder, handled = running.settings.settings_dir, running.folder
        watch, asked = Watch(handled), False
        while True:
            asked = await self._asked() or asked
            now = await self._answer(partial(read_folder, folder), f"the settings directory {folder}")
            if now is None:
                continue
            changed = watch.stands(now) and now != handled
            again = bool(self._effective.rejected) and time.monotonic() >= self._again_at
            if changed or asked or again:
                handled = now
                asked = not await self._reload(tell=changed or asked)

    async def _asked(self) -> bool:
        """Wait until it is time to look; say whether somebody cannot wait for that."""
        hangup = self._sources.hangup
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await hangup.wait()
            except TimeoutError:
                if self._asking.may_ask():
                    return False
            else:
                hangup.clear()
                return True

    async def _answer(self, ask: Callable[[], T], whom: str) -> T | None:
        """Ask in a thread; None where there is no answer in time, which is told once."""
        asking = self._asking.ask(ask)
        await asyncio.wait((asking,), timeout=_ANSWER_SECONDS)
        if not asking.done():
            if self._effective.unanswered != whom:
                text = "%s has not answered for %g s: a change of the settings is not seen before it does"
                _log.error(text, whom, _ANSWER_SECONDS)
                self._effective.unanswered = whom
                self._catalogue.reloads.labels("unanswered").inc()
            return None
        if self._effective.unanswered == whom:
            _log.info("%s answers again", whom)
            self._effective.unanswered = ""
        return asking.result()

    async def _reload(self, *, tell: bool) -> bool:
        """Take up what is valid; False where there is no answer. What is wrong still is told again only with `tell`."""
        try:
            answer = await self._answer(self._decide, "a file that the settings name")
        except ConfigError as error:
            self._reject(error.problems, tell=tell)
            return True
        if answer is None:
            return False
        read, decision = answer
        log.redact_for("settings", read.secrets())
        level = decision.configuration.settings.log.level
        if level in ("debug", "info"):  # what is told is seen by the former level or by the next one
            log.set_level(level)
        self._tell(decision)
        log.set_level(level)
        if decision.applied:
            self._use(decision.configuration.settings)
        self._effective.turn_to(decision.configuration, list(decision.waiting))
        self._catalogue.configured(self._effective.fingerprint)
        self._catalogue.reloads.labels(decision.result).inc()
        return True

    def _decide(self) -> tuple[Configuration, Decision]:
        try:
            read = self._sources.read()
            return read, decided(self._effective.configuration, read)
        except OSError as error:  # of a disk that a check looks at, such as the journal's
            raise ConfigError([f"what the settings name cannot be looked at: {error}"]) from error

    def _reject(self, problems: Sequence[str], *, tell: bool) -> None:
        self._again_at = time.monotonic() + _AGAIN_SECONDS
        if tell or list(problems) != list(self._effective.rejected):
            text = "the settings were read anew and are not taken up, so that everything stays as it is: %s"
            _log.error(text, "; ".join(problems))
            self._effective.reject(problems)
            self._catalogue.reloads.labels("rejected").inc()

    def _tell(self, decision: Decision) -> None:
        """Name what has changed, no value among it, and what waits only if that is something else than before."""
        news, self._waiting = decision.waiting != self._waiting, decision.waiting
        if decision.applied:
            _log.info("changed while running: %s", ", ".join(decision.applied))
        for caution in decision.cautions:
            _log.warning("%s", caution)
        if news and decision.waiting:
            why = f"; what could take effect waits with them, since {'; '.join(decision.hindrances)}"
            text = "changed, but needs a restart: %s%s"
            _log.warning(text, ", ".join(decision.waiting), why if decision.hindrances else "")
        elif news:
            _log.info("nothing waits for a restart any more")
        elif not decision.applied:
            _log.info("the settings were read anew: nothing has changed (what is in the environment needs a restart)")
