"""`check --connect` asks each sink about the events that the settings lead to."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from bridge.commands.inspection import examples, inspected
from bridge.message import LICENCE_ACTIVATED, RESYNC_REQUIRED, Message
from bridge.ports import Finding
from bridge.settings import Settings, SinkConfig


def settings(**subscribe: object) -> Settings:
    return Settings.model_validate(
        {
            "sinks": "example",
            "hub": {"url": "http://127.0.0.1"},
            "auth": {"username": "bridge", "password": "x", "device_name": "bridge"},
            "subscribe": {"resources": "tickets,orders"} | subscribe,
            "filter": {"exclude_resources": "Orders"},
        }
    )


def test_there_is_an_example_of_every_kind_of_event() -> None:
    """Each resource that is let through in each action, the licence, the bridge's own, and what nobody knows."""
    made = examples(settings(resources="tickets,orders,items", actions="created,deleted"))

    changes = [(message.resource, message.action) for message in made if message.resource]
    others = {message.event for message in made if not message.resource}
    assert changes == [(name, action) for name in ("tickets", "items") for action in ("created", "deleted")]
    assert others > {LICENCE_ACTIVATED, RESYNC_REQUIRED, "portos.unknown"}


def test_nothing_is_asked_about_what_is_switched_off() -> None:
    """Without the licence there is no example of it."""
    made = examples(settings(licence=False))

    assert LICENCE_ACTIVATED not in {message.event for message in made}


class Inspection:
    """A sink's look at its broker that finds what the test says."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        self.asked: tuple[SinkConfig, int, bool] | None = None
        self.left = False

    async def __call__(
        self, config: SinkConfig, examples: Sequence[Message], *, create: bool
    ) -> AsyncGenerator[Finding, None]:
        self.asked = (config, len(examples), create)
        try:
            for finding in self.findings:
                yield finding
        finally:
            self.left = True


@pytest.mark.parametrize(("rank", "well"), [("ok", True), ("warning", True), ("failed", False)])
async def test_only_a_failure_fails(rank: str, well: bool) -> None:  # noqa: FBT001 - a table's column
    """Every finding is told in its order; a warning is no failure."""
    inspection = Inspection(Finding("ok", "a"), Finding(rank, "b"), Finding("ok", "c"))  # type: ignore[arg-type]
    told: list[Finding] = []

    result = await inspected(inspection, SinkConfig(), settings(), told.append, create=True)

    assert (result, [finding.text for finding in told]) == (well, ["a", "b", "c"])
    assert inspection.asked == (SinkConfig(), len(examples(settings())), True)
    assert inspection.left


async def test_resources_that_nobody_has_named_are_not_passed_over_in_silence() -> None:
    """With `*` nobody can know the topics, and that is said."""
    told: list[Finding] = []

    result = await inspected(Inspection(), SinkConfig(), settings(resources="*"), told.append, create=False)

    assert (result, [finding.rank for finding in told]) == (True, ["warning"])
    assert "SUBSCRIBE__RESOURCES is *" in told[0].text
