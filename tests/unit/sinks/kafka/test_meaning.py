"""What follows from an error of Kafka: the whole table, held against the client library's list of errors."""

import aiokafka.errors
import pytest
from aiokafka.errors import BrokerResponseError, KafkaError, for_code

from bridge.contract import sample
from bridge.errors import Rejected, Unavailable
from sinks.kafka.meaning import FURTHER_CODES, MEANINGS, meaning
from tests.unit.sinks.kafka.test_sink import Producer, messages, refusing, sink_on

DOCUMENTED = {
    value.__name__
    for value in vars(aiokafka.errors).values()
    if isinstance(value, type) and issubclass(value, KafkaError)
}
BURIED = {"MessageSizeTooLargeError", "RecordListTooLargeError", "InvalidRecord"}
HELD = {
    "missing_topic": {"UnknownTopicOrPartitionError", "InvalidTopicError"},
    "forbidden": {
        *("TopicAuthorizationFailedError", "ClusterAuthorizationFailedError", "TransactionalIdAuthorizationFailed"),
        *("PolicyViolationError", "UnsupportedForMessageFormatError"),
    },
    "unauthorized": {
        *("SaslAuthenticationFailed", "AuthenticationFailedError", "AuthenticationMethodNotSupported"),
        *("UnsupportedSaslMechanismError", "IllegalSaslStateError", "DelegationTokenAuthDisabled"),
        *("DelegationTokenNotFound", "DelegationTokenOwnerMismatch", "DelegationTokenRequestNotAllowed"),
        *("DelegationTokenAuthorizationFailed", "DelegationTokenExpired"),
    },
    "clock": {"InvalidTimestampError"},
    "protocol": {
        *("UnrecognizedBrokerVersion", "IncompatibleBrokerVersion", "UnsupportedVersionError"),
        *("UnsupportedCodecError", "UnsupportedCompressionType"),
    },
}
RENEWED = {
    *("OutOfOrderSequenceNumber", "UnknownProducerId", "InvalidProducerEpoch", "CorruptRecordException"),
    *("ProducerFenced", "ProducerFencedByCode", "ProducerClosed", "DuplicateSequenceNumber", "InvalidTxnState"),
    *("InvalidProducerIdMapping", "TransactionCoordinatorFenced"),
}


def of_verb(verb: str) -> set[str]:
    return {name for name, row in MEANINGS.items() if row.verb == verb}


def unavailable(kind: str, *, records: int = 5, progress: bool = False) -> Unavailable:
    found = meaning(kind, "text", "topic t", records=records, progress=progress)
    assert isinstance(found, Unavailable)
    return found


def test_every_error_of_the_library_has_a_row_and_every_row_an_error() -> None:
    """An error that a new release brings, renames or drops is decided here before it is met."""
    assert DOCUMENTED | set(FURTHER_CODES.values()) | {"TimeoutError"} == set(MEANINGS)


def test_what_is_buried_held_and_renewed_is_on_purpose() -> None:
    """Whoever moves an error from one verb to another says so twice."""
    held = {reason: {name for name in of_verb("hold") if MEANINGS[name].reason == reason} for reason in HELD}

    assert of_verb("bury") == BURIED
    assert held == HELD
    assert of_verb("hold") == set().union(*HELD.values())
    assert of_verb("renew") == RENEWED


def test_whatever_the_library_repeats_by_itself_is_never_buried() -> None:
    """Its own word for passing errors is not ours, but no error that it calls so may cost an event."""
    passing = {name for name in DOCUMENTED if getattr(aiokafka.errors, name).retriable}

    assert not passing & of_verb("bury")


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_only_what_a_broker_will_never_take_is_buried(name: str) -> None:
    """No other error is a reason to give up a message, and one met by no batch or a larger one never is."""
    alone, several, none = (meaning(name, "text", "topic t", records=records, progress=True) for records in (1, 5, 0))

    assert isinstance(alone, Rejected) == (name in BURIED)
    assert isinstance(several, Unavailable)
    assert isinstance(none, Unavailable)


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_each_verb_has_its_pace(name: str) -> None:
    """A hold waits for an operator and says what to do, doubt takes its time, a renewal none after progress."""
    error, verb = unavailable(name, progress=True), MEANINGS[name].verb

    assert error.hold == (verb == "hold")
    assert error.slowly == (verb == "doubt")
    assert error.at_once == (verb in {"renew", "bury"})
    assert error.bury_after is None
    assert MEANINGS[name].advice.format(login="the login") in str(error)
    assert bool(MEANINGS[name].advice) == (verb == "hold")


@pytest.mark.parametrize("name", sorted(BURIED | RENEWED))
def test_without_progress_there_is_always_a_pause(name: str) -> None:
    """Two connections in a row that confirm nothing are never without a pause between them."""
    assert not unavailable(name, progress=False).at_once


def test_an_unknown_error_buries_nothing() -> None:
    """What nobody has written down is tried again, slowly, for ever."""
    error = unavailable("BrandNewError", records=1)

    assert (error.reason, error.slowly, error.hold, error.hold_after) == ("unexpected", True, False, None)


@pytest.mark.parametrize("name", ["ProducerFenced", "InvalidProducerEpoch", "ProducerFencedByCode"])
def test_who_is_fenced_by_another_bridge_comes_back_slowly(name: str) -> None:
    """With a transactional id it is another client with the same one; two must not fence each other in turns."""
    error = meaning(name, "text", "topic t", records=1, progress=True, identity="CLIENT_ID and SITE")

    assert isinstance(error, Unavailable)
    assert (error.reason, error.slowly, error.at_once, error.hold_after) == ("taken_over", True, False, 1)
    assert "another bridge has the same CLIENT_ID and SITE" in str(error)


@pytest.mark.parametrize(
    ("name", "told"),
    [("UnknownTopicOrPartitionError", "create it"), ("TopicAuthorizationFailedError", "allow the bridge to describe")],
)
def test_a_hold_names_the_place_and_the_remedy(name: str, told: str) -> None:
    error = meaning(name, "[Error]", "topic portos.tickets", records=0, progress=False)

    assert "topic portos.tickets" in str(error)
    assert told in str(error)


@pytest.mark.parametrize(("code", "name"), sorted(FURTHER_CODES.items()))
def test_codes_that_the_library_does_not_name_are_named(code: int, name: str) -> None:
    """Else all would be the one unknown error, and a record that no broker will ever take would be tried for ever."""
    assert for_code(code).__name__ == name
    assert not for_code(code).retriable


CODES = sorted({error.errno for error in aiokafka.errors.kafka_errors.values()} - {0})


@pytest.mark.parametrize("code", CODES)
async def test_whatever_a_broker_answers_each_message_has_its_outcome(code: int) -> None:
    """Through the whole sink: the refused one is what the table says, and what follows it is open."""
    error: type[BrokerResponseError] = for_code(code)
    producer = Producer(refusing(b"0", error))

    first, *rest = await sink_on(producer).deliver([sample(0, body=b"0"), *messages(9)[1:]])

    assert isinstance(first, Rejected if error.__name__ in BURIED else Unavailable)
    assert {type(outcome) for outcome in rest} == {Unavailable}
    assert producer.sizes() == [1], "nothing follows a first batch that is refused"
