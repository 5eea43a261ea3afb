"""What the bridge asks the hub for and keeps, what is done with what it does not keep, and what is asked for anew.

Pure. The last moment up to which everything is stored says nothing of what was left out until then: a resource that is
subscribed anew was never heard. Kept in the journal from one session to the next. Used by `bridge.intake`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import msgspec

from bridge.message import Message
from bridge.settings.privacy import EVERYTHING, same_name
from bridge.source import Unreadable

__all__ = ["Minimisation", "Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of resources (`*` is every one), the actions of them, and what is left out of that, each with its kind."""

    resources: Sequence[str]
    actions: Sequence[str] = ()
    excluded: Sequence[str] = ()

    def recorded(self) -> str:
        """Give it as text, for another session to compare with."""
        return msgspec.json.encode({name: sorted(words) for name, words in asdict(self).items()}).decode()

    def unheard(self, recorded: str | None) -> Sequence[str]:
        """Name the resources of which more is kept than a session did that recorded this; of None nothing is known.

        Another action, or an exclusion less, is of every resource.
        """
        if recorded is None:
            return ()
        before = msgspec.json.decode(recorded, type=Scope)
        if set(self.actions) - set(before.actions) or set(before.excluded) - set(self.excluded):
            return self.resources
        if EVERYTHING in before.resources:
            return ()
        heard = frozenset(map(same_name, before.resources))
        return [name for name in self.resources if same_name(name) not in heard]


@dataclass(frozen=True, slots=True)
class Minimisation:
    """What is not stored as it came; each step is None where there is nothing to do.

    `filtered` says why a message is left out; None is that it is not. `reduced` gives a message with what may be stored
    of it, `shortened` an unreadable record.
    """

    filtered: Callable[[Message], str | None] | None = None
    reduced: Callable[[Message], Message] | None = None
    shortened: Callable[[Unreadable], Unreadable] | None = None
