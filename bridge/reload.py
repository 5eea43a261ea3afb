"""Settings that change while the bridge runs: read anew on SIGHUP, and when their directory holds something else.

What is read is valid as a whole or nothing of it counts. What can takes effect at once, without any connection being
touched; what differs besides is named once, since it waits for a restart. Run by `bridge.service`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from bridge import log
from bridge.errors import ConfigError
from bridge.metrics import Catalogue
from bridge.renewal import Watch
from bridge.settings import Settings
from bridge.settings.change import Decision, decided
from bridge.settings.effective import Effective
from bridge.settings.file import read_folder
from bridge.settings.loading import Configuration

__all__ = ["Reload", "Sources"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings are read anew, by a function that blocks and raises `ConfigError`, and what asks for it."""

    read: Callable[[], Configuration]
    hangup: asyncio.Event


class Reload:
    """See the module. `use` is handed the settings when filters have changed."""

    def __init__(
        self, effective: Effective, sources: Sources, catalogue: Catalogue, use: Callable[[Settings], None]
    ) -> None:
        self._effective = effective
        self._sources = sources
        self._catalogue = catalogue
        self._use = use
        self._waiting: Mapping[str, object] = {}

    async def run(self) -> NoReturn:
        """Read anew whenever that is asked for, or a change of the directory stands."""
        running = self._effective.configuration
        folder, handled = running.settings.settings_dir, running.folder
        watch = Watch(handled)
        while True:
            asked = await self._asked()
            now = await asyncio.to_thread(read_folder, folder)
            if (watch.stands(now) and now != handled) or asked:
                handled = now
                await self._reload()

    async def _asked(self) -> bool:
        """Wait until it is time to look; say whether somebody cannot wait for that."""
        hangup = self._sources.hangup
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await hangup.wait()
        except TimeoutError:
            return False
        hangup.clear()
        return True

    async def _reload(self) -> None:
        try:
            decision = await asyncio.to_thread(self._decide)
        except ConfigError as error:
            text = "the settings were read anew and are not taken up, so that everything stays as it is: %s"
            _log.error(text, "; ".join(error.problems))
            self._effective.reject(error.problems)
            self._catalogue.reloads.labels("rejected").inc()
            return
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

    def _decide(self) -> Decision:
        try:
            read = self._sources.read()
        except OSError as error:  # of a disk that a check looks at, such as the journal's
            raise ConfigError([f"what the settings name cannot be looked at: {error}"]) from error
        log.redact_for("settings", read.secrets())
        return decided(self._effective.configuration, read)

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
            _log.info("the settings were read anew: nothing has changed")
