"""The promises of a sink as pytest tests: subclass `SinkContract` and give it the fixture `rig`."""

from bridge.contract import check
from bridge.contract.rig import Rig

__all__ = ["SinkContract"]


class SinkContract:
    """One test a promise; `bridge.contract` says how to run them against a sink of your own."""

    async def test_gives_one_outcome_a_message(self, rig: Rig) -> None:
        """deliver() gives exactly one outcome for each message, whatever the size of the batch."""
        await check.one_outcome_a_message(rig)

    async def test_takes_an_empty_batch(self, rig: Rig) -> None:
        """deliver() of no message does no harm."""
        await check.an_empty_batch_is_nothing(rig)

    async def test_confirms_what_the_broker_holds(self, rig: Rig) -> None:
        """Everything confirmed is at the broker, once, and nothing else."""
        await check.everything_confirmed_is_at_the_broker(rig)

    async def test_keeps_the_order_within_a_resource(self, rig: Rig) -> None:
        """The messages of one resource and id arrive in the order in which they were given."""
        await check.the_order_within_a_resource_is_kept(rig)

    async def test_leaves_bodies_as_they_are(self, rig: Rig) -> None:
        """The bytes of a notification arrive as they are."""
        await check.bodies_arrive_byte_for_byte(rig)

    async def test_survives_hostile_names(self, rig: Rig) -> None:
        """Any name is delivered or rejected, and the messages beside it arrive."""
        await check.hostile_names_cost_no_neighbour(rig)

    async def test_does_not_deliver_what_it_rejects(self, rig: Rig) -> None:
        """What deliver() rejects is not at the broker."""
        await check.nothing_rejected_is_at_the_broker(rig)

    async def test_rejects_a_poison_message_alone(self, rig: Rig) -> None:
        """A message that the broker refuses for good is rejected or shed, and those beside it arrive in order."""
        await check.a_poison_message_costs_no_neighbour(rig)

    async def test_confirms_nothing_behind_what_is_too_large(self, rig: Rig) -> None:
        """Behind a message that goes again without its body, none of its resource is confirmed."""
        await check.nothing_is_confirmed_behind_what_is_too_large(rig)

    async def test_lets_nothing_overtake_what_comes_again(self, rig: Rig) -> None:
        """Behind a message that the broker refuses for now, none of its resource is at the broker."""
        await check.nothing_overtakes_what_is_refused_for_now(rig)

    async def test_continues_in_a_second_session(self, rig: Rig) -> None:
        """A new connection delivers after the first was closed."""
        await check.a_second_session_continues(rig)

    async def test_explains_what_it_does(self, rig: Rig) -> None:
        """What the plugin explains without a connection is what becomes of the message."""
        await check.an_explanation_agrees_with_the_delivery(rig)

    async def test_closes_after_being_cancelled(self, rig: Rig) -> None:
        """A sink cancelled inside deliver() closes in time and leaves no task."""
        await check.being_cancelled_leaves_a_sink_that_closes(rig)

    async def test_closes_on_a_frozen_broker(self, rig: Rig) -> None:
        """On a broker that says nothing more, nothing is confirmed and closing ends in time."""
        await check.closing_on_a_frozen_broker_ends(rig)

    async def test_closes_on_a_dead_broker(self, rig: Rig) -> None:
        """On a broker that is gone, nothing is confirmed and closing ends in time."""
        await check.closing_on_a_dead_broker_ends(rig)
