"""What the settings leave of what the hub sends. Pure; used by `bridge.service` and the commands."""

from collections.abc import Sequence

from bridge.portos.content import Content
from bridge.portos.filters import filtered
from bridge.scope import Minimisation, Scope
from bridge.settings import Settings
from bridge.settings.privacy import same_name

__all__ = ["bridged", "minimisation", "scope"]


def minimisation(settings: Settings) -> Minimisation:
    """Make the steps that are needed; where nothing is configured there are none.

    What was left out by name, or reduced, must not be kept as an unreadable record either.
    """
    subscribe, event, filters, privacy = settings.subscribe, settings.event, settings.filter, settings.privacy
    content = Content(subscribe, privacy, references=event.content == "reference")
    whole = event.content == "notification"
    chosen = filters.exclude_resources or filters.exclude_ids or filters.exclude_senders
    return Minimisation(
        filtered=filtered(subscribe, filters),
        reduced=None if whole else content.reduced,
        shortened=content.shortened if chosen or not whole else None,
    )


def bridged(settings: Settings) -> Sequence[str]:
    """Name the resources that are subscribed and not left out; `*` is everything."""
    excluded = frozenset(map(same_name, settings.filter.exclude_resources))
    return [name for name in settings.subscribe.resources if same_name(name) not in excluded]


def scope(settings: Settings) -> Scope:
    """Say what is asked of the hub and kept."""
    filters = settings.filter
    kinds = (("resource", filters.exclude_resources), ("id", filters.exclude_ids), ("sender", filters.exclude_senders))
    excluded = [f"{kind}:{word}" for kind, words in kinds for word in words]
    return Scope(bridged(settings), settings.subscribe.actions, excluded)
