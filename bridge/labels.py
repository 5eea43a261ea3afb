"""The values of labels of metrics: closed sets. What an adapter reports beyond them counts as `other`.

They are a public interface, as the names of the metrics are. Used by `bridge.metrics` and whoever counts by reasons.
"""

from collections.abc import Collection

__all__ = [
    "ATTEMPT_RESULTS",
    "CONNECT_RESULTS",
    "DEAD_LETTER_REASONS",
    "DROP_REASONS",
    "FILTER_REASONS",
    "FRAME_TYPES",
    "INVALID_REASONS",
    "JOURNAL",
    "LETTER_REASONS",
    "REDRIVE_RESULTS",
    "RELOAD_RESULTS",
    "SINK_DISCONNECTS",
    "SOURCE",
    "SOURCE_DISCONNECTS",
    "TOKEN_RESULTS",
    "known",
]

SOURCE = "source"
"""Stands in the place of a sink for what the hub sent that is no event."""
JOURNAL = "journal"
"""The same for stored events that are damaged, which are lost to all sinks."""
CONNECT_RESULTS = ("ok", "unauthorized", "forbidden", "refused", "timeout", "tls", "protocol", "network", "other")
SOURCE_DISCONNECTS = (
    *("server_close", "silence", "network", "unauthorized", "protocol", "oversize", "planned", "shed", "timeout"),
    "other",
)
SINK_DISCONNECTS = (
    *("server_close", "silence", "network", "unauthorized", "refused", "protocol", "timeout", "taken_over"),
    *("session", "poison_batch", "too_large", "contract", "tls", "planned", "other"),
)
DEAD_LETTER_REASONS = ("too_large", "reserved_topic", "topic_not_allowed", "invalid", "refused", "other")
FILTER_REASONS = ("resource", "action", "id", "sender")
INVALID_REASONS = ("json", "encoding", "shape", "other")
LETTER_REASONS = (*DEAD_LETTER_REASONS, *INVALID_REASONS, "corrupt")
"""Why a dead letter is kept, whoever buried it."""
FRAME_TYPES = ("invocation", "completion", "ping", "close", "ack", "sequence", "other")
ATTEMPT_RESULTS = ("ok", "unavailable", "held", "rejected", "timeout")
REDRIVE_RESULTS = ("delivered", "overtaken", "rejected", "unreadable", "stopped")
RELOAD_RESULTS = ("applied", "restart_needed", "unchanged", "rejected", "unanswered")
DROP_REASONS = ("journal_full", "memory_full")
TOKEN_RESULTS = tuple(result for result in CONNECT_RESULTS if result != "other")


def known(word: str, words: Collection[str]) -> str:
    """Turn a word of an adapter into a label of a closed set."""
    return word if word in words else "other"
