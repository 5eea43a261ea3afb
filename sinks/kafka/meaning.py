"""What an error of Kafka means to the event that met it: one row for every error that the client library documents.

Pure. The verbs are four, and one of them never follows: no answer of a broker stops the bridge, since that would stop
the other sinks too. A test holds the table against the library, so that a new error shows up there first.

- `retry`: the cause ends by itself (a broker, a leader, an in-sync replica is away); `renew` is the same where only the
  producer is of no more use, which needs no pause; `doubt` where nobody knows, which takes the longest pause; so does
  `suspect`, until it ends a second connection in a row, which is held.
- `hold`: somebody must act; nothing is dropped, and the next attempt after that goes through.
- `bury`: a broker will never take this record. It refuses a batch and does not name the record: a batch of one is to
  blame itself, a larger one is tried again in smaller ones.
"""

import ssl
from collections.abc import Mapping
from typing import Literal, NamedTuple

from bridge.errors import Rejected, TooLarge, Unavailable, system_words
from bridge.tls import trouble

__all__ = ["FURTHER_CODES", "MEANINGS", "Meaning", "meaning", "no_connection", "not_connected"]

Verb = Literal["retry", "renew", "doubt", "suspect", "hold", "bury"]
_HELD_AFTER = 1  # two bridges with one id fence each other with each connection; one that is replaced does it once


class Meaning(NamedTuple):
    """What follows from an error, the word for it in the metrics, and what an operator can do.

    In the advice `{login}` stands for the variables by which the bridge says who it is, and `{identity}` for those that
    make its transactional id.
    """

    verb: Verb
    reason: str
    advice: str = ""


_NETWORK = Meaning("retry", "network")
_TIMEOUT = Meaning("retry", "timeout")
_SESSION = Meaning("renew", "session")
_DOUBT = Meaning("doubt", "unexpected")
_TOO_LARGE = Meaning("bury", "too_large")
_CREDENTIALS = Meaning("hold", "unauthorized", "check {login}")
_MECHANISM = Meaning("hold", "unauthorized", "set SECURITY_PROTOCOL and SASL_MECHANISM to what the brokers offer")
_TOO_OLD = Meaning("hold", "protocol", "the brokers are older than this release of the bridge supports")

FURTHER_CODES: Mapping[int, str] = {
    76: "UnsupportedCompressionType",
    87: "InvalidRecord",
    90: "ProducerFencedByCode",
}
"""Answers to a produce request that aiokafka 0.14.0 has no name for and gives as `UnknownError`."""

_FENCED = frozenset({"ProducerFenced", "InvalidProducerEpoch", "ProducerFencedByCode"})
"""Without a transactional id nobody can be fenced: there they end a session, as any other error of its numbers."""
# Coming back at once would fence the other one, and so on for ever.
_TAKEN_OVER = Meaning("suspect", "taken_over", "another bridge has the same {identity}; give each its own")

MEANINGS: Mapping[str, Meaning] = {
    # the library's own
    "KafkaError": _DOUBT,
    "IllegalStateError": _DOUBT,
    "IllegalArgumentError": _DOUBT,
    "NoBrokersAvailable": _NETWORK,
    "NodeNotReadyError": _NETWORK,
    "KafkaProtocolError": Meaning("retry", "protocol"),
    "CorrelationIdError": _NETWORK,
    "Cancelled": _NETWORK,
    "TooManyInFlightRequests": _NETWORK,
    "StaleMetadata": _NETWORK,
    "MetadataEmptyBrokerList": _NETWORK,
    "UnrecognizedBrokerVersion": _TOO_OLD,
    "IncompatibleBrokerVersion": _TOO_OLD,
    "CommitFailedError": _DOUBT,
    "AuthenticationMethodNotSupported": _MECHANISM,
    "AuthenticationFailedError": _CREDENTIALS,
    "KafkaUnavailableError": _NETWORK,
    "KafkaTimeoutError": _TIMEOUT,
    "KafkaConnectionError": _NETWORK,
    "UnsupportedCodecError": Meaning("hold", "protocol", "set COMPRESSION=none"),
    "KafkaConfigurationError": _DOUBT,
    "QuotaViolationError": Meaning("doubt", "refused"),
    "NoOffsetForPartitionError": _DOUBT,
    "RecordTooLargeError": _DOUBT,  # raised to consumers only
    "ProducerClosed": _SESSION,
    "ProducerFenced": _SESSION,
    "BrokerResponseError": _DOUBT,
    "TimeoutError": _TIMEOUT,  # Python's own
    # answers of brokers, by their number in Kafka's protocol guide
    "UnknownError": _DOUBT,  # -1
    "NoError": _DOUBT,  # 0, which is none
    "OffsetOutOfRangeError": _DOUBT,
    "CorruptRecordException": _SESSION,  # 2
    "UnknownTopicOrPartitionError": Meaning("hold", "missing_topic", "it does not exist: create it"),  # 3
    "InvalidFetchRequestError": _DOUBT,
    "LeaderNotAvailableError": _NETWORK,  # 5
    "NotLeaderForPartitionError": _NETWORK,
    "RequestTimedOutError": _TIMEOUT,
    "BrokerNotAvailableError": _NETWORK,
    "ReplicaNotAvailableError": _NETWORK,
    "MessageSizeTooLargeError": _TOO_LARGE,  # 10
    "StaleControllerEpochError": _NETWORK,
    "OffsetMetadataTooLargeError": _DOUBT,
    "StaleLeaderEpochCodeError": _NETWORK,
    "GroupLoadInProgressError": _NETWORK,
    "GroupCoordinatorNotAvailableError": _NETWORK,  # 15
    "NotCoordinatorForGroupError": _NETWORK,
    "InvalidTopicError": Meaning("hold", "missing_topic", "no broker takes such a name: correct TOPIC_TEMPLATE"),
    "RecordListTooLargeError": _TOO_LARGE,  # 18
    "NotEnoughReplicasError": _NETWORK,
    "NotEnoughReplicasAfterAppendError": _NETWORK,  # 20
    "InvalidRequiredAcksError": _DOUBT,
    "IllegalGenerationError": _DOUBT,
    "InconsistentGroupProtocolError": _DOUBT,
    "InvalidGroupIdError": _DOUBT,
    "UnknownMemberIdError": _DOUBT,  # 25
    "InvalidSessionTimeoutError": _DOUBT,
    "RebalanceInProgressError": _DOUBT,
    "InvalidCommitOffsetSizeError": _DOUBT,
    "TopicAuthorizationFailedError": Meaning(
        "hold", "forbidden", "allow the bridge to describe the topic and to write to it"
    ),
    "GroupAuthorizationFailedError": _DOUBT,  # 30
    "ClusterAuthorizationFailedError": Meaning("hold", "forbidden", "allow the bridge IdempotentWrite on the cluster"),
    "InvalidTimestampError": Meaning(
        "hold", "clock", "records carry the present time: set the clock of the bridge or the brokers right"
    ),
    "UnsupportedSaslMechanismError": _MECHANISM,
    "IllegalSaslStateError": _MECHANISM,
    "UnsupportedVersionError": _TOO_OLD,  # 35
    "TopicAlreadyExistsError": _DOUBT,
    "InvalidPartitionsError": _DOUBT,
    "InvalidReplicationFactorError": _DOUBT,
    "InvalidReplicationAssignmentError": _DOUBT,
    "InvalidConfigurationError": _DOUBT,  # 40
    "NotControllerError": _NETWORK,
    "InvalidRequestError": _DOUBT,
    "UnsupportedForMessageFormatError": Meaning(
        "hold", "forbidden", "the topic's message format is older than record headers"
    ),
    "PolicyViolationError": Meaning("hold", "forbidden", "a policy of the brokers forbids it"),
    "OutOfOrderSequenceNumber": _SESSION,  # 45
    "DuplicateSequenceNumber": _SESSION,  # the library takes it for success, which it is
    "InvalidProducerEpoch": _SESSION,
    "InvalidTxnState": _SESSION,
    "InvalidProducerIdMapping": _SESSION,
    "InvalidTransactionTimeout": _DOUBT,  # 50
    "ConcurrentTransactions": _NETWORK,
    "TransactionCoordinatorFenced": _SESSION,
    "TransactionalIdAuthorizationFailed": Meaning(
        "hold", "forbidden", "allow the bridge Describe and Write on its transactional id (TRANSACTIONAL_ID)"
    ),
    "SecurityDisabled": _DOUBT,
    "OperationNotAttempted": _NETWORK,  # 55
    "KafkaStorageError": _NETWORK,
    "LogDirNotFound": _NETWORK,
    "SaslAuthenticationFailed": _CREDENTIALS,
    "UnknownProducerId": _SESSION,
    "ReassignmentInProgress": _NETWORK,  # 60
    "DelegationTokenAuthDisabled": _CREDENTIALS,
    "DelegationTokenNotFound": _CREDENTIALS,
    "DelegationTokenOwnerMismatch": _CREDENTIALS,
    "DelegationTokenRequestNotAllowed": _CREDENTIALS,
    "DelegationTokenAuthorizationFailed": _CREDENTIALS,  # 65
    "DelegationTokenExpired": _CREDENTIALS,
    "InvalidPrincipalType": _DOUBT,
    "NonEmptyGroup": _DOUBT,
    "GroupIdNotFound": _DOUBT,
    "FetchSessionIdNotFound": _DOUBT,  # 70
    "InvalidFetchSessionEpoch": _DOUBT,
    "ListenerNotFound": _NETWORK,
    "MemberIdRequired": _DOUBT,  # 79
    # and those that the library has no name for
    "UnsupportedCompressionType": Meaning("hold", "protocol", "set COMPRESSION=none"),
    "InvalidRecord": Meaning("bury", "refused"),
    "ProducerFencedByCode": _SESSION,
}


def meaning(  # noqa: PLR0913 - an error, where it was met, three facts that decide, and one for the text
    kind: str, text: str, where: str, *, records: int, progress: bool, identity: str = "", login: str = "the login"
) -> Rejected | Unavailable:
    """Say what an error of the client library means for a batch that met it, by the name of the error's class.

    `records` is how many records the batch held; `progress` says that a batch was confirmed before on this connection,
    so that an attempt without a pause cannot go round in circles; `identity` names the variables that make the
    producer's transactional id, if it has one; `login` names those by which the bridge says who it is. An error that is
    not in the table buries nothing.
    """
    verb, reason, advice = _TAKEN_OVER if identity and kind in _FENCED else MEANINGS.get(kind, _DOUBT)
    told = f"{where}: {text}"
    match verb:
        case "bury" if records == 1:
            return TooLarge(told) if reason == "too_large" else Rejected(told, reason=reason)
        case "bury":
            told = f"{told}; one of {records} events, or BATCH_BYTES is above the brokers' limit"
            return Unavailable(told, reason="poison_batch", at_once=progress)
        case "hold":
            return Unavailable(f"{told}; {advice.format(login=login)}", reason=reason, hold=True)
        case "renew":
            return Unavailable(told, reason=reason, at_once=progress)
        case "doubt" | "suspect":
            told = f"{told}; {advice.format(identity=identity) or 'unexpected'}"
            return Unavailable(told, reason=reason, slowly=True, hold_after=_HELD_AFTER if verb == "suspect" else None)
    return Unavailable(told, reason=reason)


_CLOSED = "closed before it answered: is SECURITY_PROTOCOL what the broker speaks on that port?"


def no_connection(failures: Mapping[str, BaseException], login: str) -> Unavailable | None:
    """Say why there is no connection to a broker, by the latest failure of each; None where there is no failure.

    What needs an operator is said first: a broker that is down beside it ends by itself.
    """
    found = [not_connected(address, error, login) for address, error in failures.items()]
    return next((error for error in found if error.hold), found[-1] if found else None)


def not_connected(address: str, error: BaseException, login: str) -> Unavailable:
    """Say what a failed connection to one broker means."""
    where = f"connecting to {address}"
    cause = error if isinstance(error, OSError) else error.__cause__  # a certificate is refused after the handshake
    match cause:
        case Unavailable():  # there is no token to log in with
            return cause
        case ssl.SSLError():
            text, lasts = trouble(cause, "BOOTSTRAP_SERVERS")
            return Unavailable(f"{where}: {text}", reason="tls", hold=lasts)
        case OSError(strerror=str()) if cause is error:
            return Unavailable(f"{where}: {system_words(cause)}", reason="network")
        case ConnectionError():
            return Unavailable(f"{where}: {_CLOSED}", reason="network")
    text = _CLOSED if type(error).__name__ == "KafkaConnectionError" else str(error) or "no answer in time"
    found = meaning(type(error).__name__, text, where, records=0, progress=False, login=login)
    return found if isinstance(found, Unavailable) else Unavailable(str(found), reason=found.reason, slowly=True)
