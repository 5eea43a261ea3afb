"""A journal wherever it is: its file where no bridge runs on it, or the admin port of the bridge that has it.

Used by `bridge.commands.letter_access` and `bridge.commands.journal`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bridge.commands.configuration import admin_token
from bridge.errors import BridgeError, ConfigError, JournalOwned
from bridge.journal import StoppedJournal, open_stopped
from bridge.settings import Settings
from bridge.settings.reference import PREFIX

__all__ = ["Refused", "Remote", "bridge_at", "journal_or_bridge"]

_DEADLINE_SECONDS = 60.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_TOKEN = f"{PREFIX}ADMIN__TOKEN"
_NOT_SET = "is not set here: give it the value that the bridge"
_ANOTHER = "is not the one that the bridge"


class Refused(BridgeError):
    """What was asked for is not done, by the bridge that runs or here; the text says why."""


class Remote:
    """A bridge that runs, asked over its admin port."""

    def __init__(self, url: str, token: str | None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(["--url: should be http://host:port of the bridge's admin port"])
        self.url = url.rstrip("/")
        self._token = token

    def answers(self) -> bool:
        """Whether a bridge is there."""
        try:
            self.asked("/livez")
        except Refused:
            return False
        return True

    def asked(self, path: str, body: bytes | None = None) -> bytes:
        """Ask for a path, or post a body to it; raises `Refused`, or `ConfigError` where it is the token."""
        request = Request(f"{self.url}{path}", data=body)  # noqa: S310 - the scheme is checked above
        if self._token:
            # As UTF-8, which is what the bridge reads; the library writes text as Latin-1.
            request.add_header("Authorization", f"Bearer {self._token}".encode().decode("latin-1"))
        try:
            with urlopen(request, timeout=_DEADLINE_SECONDS) as answer:  # noqa: S310 - checked above
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            with error:
                said = error.read().decode(errors="replace").strip()
            if error.code == _UNAUTHORIZED:
                why = _ANOTHER if self._token else _NOT_SET
                raise ConfigError([f"{_TOKEN}: {why} at {self.url} has"]) from error
            if error.code == _FORBIDDEN:
                raise ConfigError([f"{self.url}: {said}"]) from error
            raise Refused(f"{self.url}: {said or error}") from error
        except (OSError, HTTPException) as error:
            raise Refused(f"{self.url} does not answer: {error}") from error


def bridge_at(url: str) -> Remote:
    """Give a bridge elsewhere, for which nothing has to be configured here but `ADMIN__TOKEN`."""
    return Remote(url, admin_token())


@contextmanager
def journal_or_bridge(settings: Settings, *, reads: bool = False) -> Iterator[StoppedJournal | Remote]:
    """Open the journal, only to read it if so said, or give the bridge on this machine that it belongs to.

    Raises `JournalOwned` when a bridge has it that does not answer here.
    """
    token = settings.admin.token
    secret = None if token is None else token.get_secret_value()
    try:
        with open_stopped(settings.journal.path, settings.journal.max_bytes, reads=reads) as journal:
            yield journal
            return
    except JournalOwned as owned:
        host = _ANYWHERE.get(settings.admin.host, settings.admin.host)
        remote = Remote(f"http://{host}:{settings.admin.port}", secret)
        if not remote.answers():
            text = f"{owned}; it does not answer at {remote.url}: say with --url where its admin port is"
            raise JournalOwned(text) from owned
    yield remote
