"""The promises of a sink as functions: each gets a rig, and raises `BrokenPromise` where the sink breaks its word."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.contract.evidence import (
    all_confirmed,
    bodiless,
    confirmed_arrived,
    holding,
    is_confirmed,
    no_task_left,
    nothing_missing,
    ordered,
)
from bridge.contract.rig import (
    BrokenPromise,
    Rig,
    Session,
    deliver_all,
    eventually,
    explained,
    in_session,
    sample,
)
from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, Shed

__all__ = [
    "a_poison_message_costs_no_neighbour",
    "a_second_session_continues",
    "an_empty_batch_is_nothing",
    "an_explanation_agrees_with_the_delivery",
    "being_cancelled_leaves_a_sink_that_closes",
    "bodies_arrive_byte_for_byte",
    "closing_on_a_dead_broker_ends",
    "closing_on_a_frozen_broker_ends",
    "everything_confirmed_is_at_the_broker",
    "hostile_names_cost_no_neighbour",
    "nothing_is_confirmed_behind_what_is_too_large",
    "nothing_overtakes_what_is_refused_for_now",
    "nothing_rejected_is_at_the_broker",
    "one_outcome_a_message",
    "the_order_within_a_resource_is_kept",
]

_HOSTILE = (
    "a/b", "+", "#", "$SYS/x", "..", ".", "", " ", "a b", "mPOS Link", "účtenky", "bridge.gaps", "licence", "state.x",
    "a.b", "a-2Eb", "%2F", "\x00", "\n", "x" * 300, "š" * 300, "{site}", "{resource_id}",
)  # fmt: skip
_HOSTILE_BODIES = (b'{"a":1}', b' {\t"a" : 1.0 }\r\n', b"\xef\xbb\xbf{}", b'"\\u0000"', bytes(range(256)), b"0")
_PATIENCE_SECONDS = 1.0


async def one_outcome_a_message(rig: Rig) -> None:
    """Check that deliver() gives exactly one outcome for each message, whatever the size of the batch."""

    async def body(session: Session) -> None:
        number = 0
        for size in (1, 2, 7, rig.config.window_events):
            outcomes = await session.deliver([sample(number + each) for each in range(size)])
            all_confirmed(outcomes)
            number += size

    await in_session(rig, body)


async def an_empty_batch_is_nothing(rig: Rig) -> None:
    """Check that deliver() of no message gives no outcome and does no harm to the next batch."""

    async def body(session: Session) -> None:
        await session.deliver([])
        all_confirmed(await session.deliver([sample(1)]))

    await in_session(rig, body)


async def everything_confirmed_is_at_the_broker(rig: Rig) -> None:
    """Check that the broker holds what deliver() confirmed, each message once, and none that was not given."""
    messages = [sample(number) for number in range(3 * rig.config.window_events)]

    outcomes = await deliver_all(rig, messages)

    all_confirmed(outcomes)
    records = await eventually(rig, holding(messages))
    nothing_missing(messages, records)
    known = {message.id for message in messages}
    strange = [record.id for record in records if record.id not in known]
    if strange:
        raise BrokenPromise(f"the broker holds {len(strange)} records that were never given to the sink: {strange[:3]}")
    if len(records) != len(messages):
        raise BrokenPromise(f"{len(messages)} messages without any failure became {len(records)} records")


async def the_order_within_a_resource_is_kept(rig: Rig) -> None:
    """Check that the messages of one resource and id arrive in the order given, over several batches."""
    messages = [sample(number) for number in range(3 * rig.config.window_events)]

    await deliver_all(rig, messages)

    ordered(messages, await eventually(rig, holding(messages)))


async def bodies_arrive_byte_for_byte(rig: Rig) -> None:
    """Check that the bytes of a notification arrive as they are, whatever they are."""
    messages = [sample(number, body=body) for number, body in enumerate(_HOSTILE_BODIES)]

    outcomes = await deliver_all(rig, messages)

    all_confirmed(outcomes)
    records = await eventually(rig, holding(messages))
    nothing_missing(messages, records)
    bodies = {record.id: record.body for record in records}
    for message in messages:
        if bodies[message.id] != message.body:
            raise BrokenPromise(f"the body {message.body!r} arrived as {bodies[message.id]!r}")


async def hostile_names_cost_no_neighbour(rig: Rig) -> None:
    """Check that any name is delivered or rejected, and the messages beside it arrive."""
    messages = list[Message]()
    for number, name in enumerate(_HOSTILE):
        messages.append(sample(4 * number, resource=name))
        messages.append(sample(4 * number + 1))
        messages.append(sample(4 * number + 2, resource_id=name))
        messages.append(sample(4 * number + 3))

    outcomes = await deliver_all(rig, messages)

    all_confirmed(outcomes[1::4] + outcomes[3::4])
    await confirmed_arrived(rig, messages, outcomes)


async def nothing_rejected_is_at_the_broker(rig: Rig) -> None:
    """Check that what deliver() rejects is not at the broker: no dead letter is delivered behind one's back."""
    messages = [sample(number, resource=name) for number, name in enumerate(_HOSTILE)]

    outcomes = await deliver_all(rig, messages)

    records = await confirmed_arrived(rig, messages, outcomes)
    held = {record.id for record in records}
    for message, outcome in zip(messages, outcomes, strict=True):
        if isinstance(outcome, Rejected | Unavailable) and message.id in held:
            raise BrokenPromise(
                f"a message of {message.resource!r} was rejected ({outcome.args[0]}) and is at the broker"
            )


async def a_poison_message_costs_no_neighbour(rig: Rig) -> None:
    """Check that a message refused for good is rejected, it alone, and that those around it arrive in order.

    A sink that sheds it instead has it at the broker in its place, without its body.
    """
    poison = rig.poison()
    number = max(1, min(rig.config.window_events, 50) // 2)
    messages = [*(sample(each) for each in range(number)), poison, *(sample(number + each) for each in range(number))]

    outcomes = await deliver_all(rig, messages)

    outcome = outcomes.pop(number)
    if not isinstance(outcome, Rejected | Shed):
        raise BrokenPromise(f"the refused message has the outcome {outcome!r} and neither Rejected nor Shed")
    all_confirmed(outcomes)
    arriving = messages if isinstance(outcome, Shed) else messages[:number] + messages[number + 1 :]
    records = await eventually(rig, holding(arriving))
    nothing_missing(arriving, records)
    ordered(arriving, records)
    if isinstance(outcome, Shed):
        bodiless(poison, records)


async def nothing_is_confirmed_behind_what_is_too_large(rig: Rig) -> None:
    """Check that behind a `TooLarge` no message of its resource is confirmed, as it goes again without its body.

    A sink that rejects what is too large, or sheds it, has nothing to fear: nothing of it goes again.
    """
    poison = rig.poison()
    behind = [sample(n, resource=poison.resource, resource_id=poison.resource_id) for n in (2001, 2002)]
    outcomes = list[Outcome]()

    async def body(session: Session) -> None:
        outcomes.extend(await session.deliver([poison, *behind]))

    await in_session(rig, body)

    if isinstance(outcomes[0], TooLarge) and (confirmed := sum(map(is_confirmed, outcomes))):
        raise BrokenPromise(f"{confirmed} messages were confirmed behind one of their resource that is too large")


async def nothing_overtakes_what_is_refused_for_now(rig: Rig) -> None:
    """Check that of one resource nothing is at the broker that stands behind a message which comes again.

    Sent again, that message would arrive after a newer one, and be the last that consumers see of the resource.
    """
    refused = await rig.reluctant()
    before, *behind = (
        sample(n, resource=refused.resource, resource_id=refused.resource_id) for n in (2001, 2002, 2003)
    )
    outcomes = list[Outcome]()

    async def body(session: Session) -> None:
        outcomes.extend(await session.deliver([before, refused, *behind]))

    await in_session(rig, body)

    if not isinstance(outcomes[1], Unavailable):
        raise BrokenPromise(f"the message refused for now has the outcome {outcomes[1]!r} and not Unavailable")
    await asyncio.sleep(_PATIENCE_SECONDS)  # for what may still be on its way
    held = {record.id for record in await rig.received()}
    if overtaken := [message.id for message in behind if message.id in held]:
        raise BrokenPromise(f"{len(overtaken)} messages arrived before one of their resource that is to come again")


async def a_second_session_continues(rig: Rig) -> None:
    """Check that a new connection delivers after the first was closed, in the order of both."""
    messages = [sample(number) for number in range(2 * rig.config.window_events)]
    half = rig.config.window_events

    first = await deliver_all(rig, messages[:half])
    second = await deliver_all(rig, messages[half:])

    all_confirmed(first + second)
    records = await eventually(rig, holding(messages))
    nothing_missing(messages, records)
    ordered(messages, records)


async def an_explanation_agrees_with_the_delivery(rig: Rig) -> None:
    """Check that what the plugin explains without a connection is what then becomes of the message."""
    messages = [sample(number, resource=name) for number, name in enumerate(("tickets", *_HOSTILE))]
    said_of = [explained(rig, message) for message in messages]

    outcomes = await deliver_all(rig, messages)

    records = {record.id: record for record in await confirmed_arrived(rig, messages, outcomes)}
    for message, said, outcome in zip(messages, said_of, outcomes, strict=True):
        if not is_confirmed(outcome):
            continue
        if isinstance(said, Rejected):
            raise BrokenPromise(f"a message of {message.resource!r} is explained as refused ({said}) and was delivered")
        if (topic := records[message.id].topic) not in (None, said.topic):
            raise BrokenPromise(f"a message of {message.resource!r} went to {topic!r}, explained was {said.topic!r}")


async def being_cancelled_leaves_a_sink_that_closes(rig: Rig) -> None:
    """Check that a sink cancelled in deliver() closes in time and leaves no task, and that a new session goes on."""
    messages = [sample(number) for number in range(rig.config.window_events)]
    before = asyncio.all_tasks()

    for seconds in (0.0, 0.001, 0.003, 0.01):

        async def body(session: Session, seconds: float = seconds) -> None:
            await session.abandon(messages, seconds)

        await in_session(rig, body)

    await no_task_left(before)
    all_confirmed(await deliver_all(rig, messages))
    nothing_missing(messages, await eventually(rig, holding(messages)))


async def closing_on_a_frozen_broker_ends(rig: Rig) -> None:
    """Check that nothing is confirmed, and closing ends, on a broker that keeps its connections and says nothing."""
    await _without_the_broker(rig, rig.freeze)


async def closing_on_a_dead_broker_ends(rig: Rig) -> None:
    """Check that nothing is confirmed, and closing ends, on a broker that is gone."""
    await _without_the_broker(rig, rig.kill)


async def _without_the_broker(rig: Rig, take_away: Callable[[], Awaitable[None]]) -> None:
    before = asyncio.all_tasks()

    async def body(session: Session) -> None:
        all_confirmed(await session.deliver([sample(0)]))
        await take_away()
        outcomes = await session.abandon([sample(number) for number in range(1, 20)], _PATIENCE_SECONDS)
        settled = [outcome for outcome in outcomes if not isinstance(outcome, Unavailable)]
        if settled:
            raise BrokenPromise(f"{len(settled)} messages were settled without a broker, the first as {settled[0]!r}")

    await in_session(rig, body)
    await no_task_left(before)
