"""Errors are verbs to the program: retry, bury, stop.

An adapter raises or returns one of these and is done; what follows (a pause, a new connection, a dead letter, the end
of the process) is decided by `bridge.policy` and carried out by `bridge.pipeline` alone.
"""

import os
from collections.abc import Sequence

__all__ = [
    "BridgeError",
    "ConfigError",
    "JournalOwned",
    "Rejected",
    "StorageFailed",
    "TooLarge",
    "Unavailable",
    "system_words",
]


def system_words(error: BaseException) -> str:
    """Say what the operating system said: also where asyncio has put "Connect call failed" in its place (3.11).

    Of an error that is none of the system's, or has no words, its type.
    """
    if not isinstance(error, OSError) or not error.strerror:
        return type(error).__name__
    if error.errno and error.strerror.startswith("Connect call failed"):
        return os.strerror(error.errno)
    return error.strerror


class BridgeError(Exception):
    """What all errors of the bridge have in common: a text for the operator, free of secrets."""


class Unavailable(BridgeError):
    """Retry: the connection is of no more use, and a new one is to be opened after a pause.

    `reason` is a word of a closed set, as it stands in the metrics (`refused`, `timeout`, `network`, ...).
    `hold` says that an operator must remove the cause (a missing right, a missing topic): the pause is long, nothing is
    dropped. `at_once` asks for the next attempt without a pause, `slowly` for the longest pause there is just now.
    `bury_after` bounds how often one message may cause this error before it is buried; None is never. `hold_after` is
    how many connections in a row may end with it soon after they began; the next one that does is held.
    """

    def __init__(  # noqa: PLR0913 - each is a word of its own to the policy
        self,
        text: str,
        *,
        reason: str,
        hold: bool = False,
        at_once: bool = False,
        slowly: bool = False,
        bury_after: int | None = None,
        hold_after: int | None = None,
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.hold = hold
        self.at_once = at_once
        self.slowly = slowly
        self.bury_after = bury_after
        self.hold_after = hold_after


class Rejected(BridgeError):
    """Bury: this message will never be taken; it goes to the dead letters and the stream goes on.

    `reason` is a word of a closed set, as it stands in the metrics and in the dead letter; the text is the library's or
    the broker's, without the payload. `target` is the topic that the message would have had, where there is one.
    """

    def __init__(self, text: str, *, reason: str, target: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.target = target


class TooLarge(Rejected):
    """Bury, or shorten: the broker has refused this message for its size, and without its body it may pass.

    Only for what shows in the broker's answer: what a sink knows before, it shortens itself. Nothing that was handed
    over behind it, of the same resource, may be confirmed any more, since the message goes again.
    """

    def __init__(self, text: str, *, target: str | None = None) -> None:
        super().__init__(text, reason="too_large", target=target)


class ConfigError(BridgeError):
    """Stop with status 78: the configuration is wrong; `problems` has one line each, named by variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StorageFailed(BridgeError):
    """Stop with status 74: the journal could not write, read or sync; nothing unwritten was acknowledged."""


class JournalOwned(BridgeError):
    """Stop with status 75: another process owns the journal."""
