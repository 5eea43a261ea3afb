"""Which stage of a notification's way a frame belongs to.

Pure. A stack belongs to the stage of its innermost frame that has one of its own; code that serves many stages
(asyncio, the standard library, `bridge/message.py`) counts for whoever called it, and for the event loop if nobody did.
The journal thread is a stage as a whole.
"""

from collections.abc import Sequence

from tests.bench.profile.sample import Frame, Sample

__all__ = ["EVENT_LOOP", "LIBRARIES", "MODULES", "OTHER", "STAGES", "THREADS", "stage_of"]

SOCKET = "read socket and WebSocket"
RECORDS = "SignalR records and JSON"
JUDGING = "judging (sift)"
ENCODE = "journal: encode, hand over"
SQLITE = "journal thread (SQLite)"
READ = "reading back"
SINK = "encoding for the sink"
CLIENT = "sink and client library"
SETTLING = "settling and metrics"
EVENT_LOOP = "event loop"
OTHER = "other"
STAGES = (SOCKET, RECORDS, JUDGING, ENCODE, SQLITE, READ, SINK, CLIENT, SETTLING, EVENT_LOOP, OTHER)

THREADS = {"journal": SQLITE, "helper": OTHER}
"""Threads that are a stage as a whole, by the beginning of their names."""

MODULES = {
    "bridge/portos/web.py": SOCKET,
    "bridge/portos/signalr.py": RECORDS,
    "bridge/portos/records.py": RECORDS,
    "bridge/portos/notifications.py": RECORDS,
    "bridge/portos/session.py": RECORDS,
    "bridge/portos/feed.py": RECORDS,
    "bridge/portos/source.py": RECORDS,
    "bridge/portos/backlog.py": RECORDS,
    "bridge/portos/relay.py": RECORDS,
    "bridge/portos/proof.py": RECORDS,
    "bridge/portos/doubt.py": RECORDS,
    "bridge/portos/": JUDGING,
    "bridge/intake.py": JUDGING,
    "bridge/sieve.py": JUDGING,
    "bridge/blind.py": JUDGING,
    "bridge/journal/": ENCODE,
    "bridge/journal/chunk.py:decode": READ,
    "bridge/journal/reader.py": READ,
    "bridge/journal/log.py:read": READ,
    "bridge/journal/log.py:_read_ahead": READ,
    "bridge/journal/log.py:settle": SETTLING,
    "sinks/kafka/records.py": SINK,
    "sinks/kafka/layout.py": SINK,
    "sinks/kafka/fitting.py": SINK,
    "sinks/kafka/batch.py": SINK,
    "sinks/kafka/compression.py": SINK,
    "sinks/mqtt/records.py": SINK,
    "sinks/mqtt/layout.py": SINK,
    "sinks/mqtt/state.py": SINK,
    "sinks/kafka/": CLIENT,
    "sinks/mqtt/": CLIENT,
    "bridge/pipeline.py": SETTLING,
    "bridge/policy.py": SETTLING,
    "bridge/ledger.py": SETTLING,
    "bridge/metrics.py": SETTLING,
    "bridge/distribution.py": SETTLING,
    "bridge/labels.py": SETTLING,
    "bridge/link.py": SETTLING,
    "bridge/deadline.py": SETTLING,
}
"""Stages by module, by folder, and by function where a module serves two; the most exact entry counts."""

LIBRARIES = {
    "aiohttp/": SOCKET,
    "signalrcore/": RECORDS,
    "msgspec/": RECORDS,
    "aiokafka/": CLIENT,
    "paho/": CLIENT,
    "prometheus_client/": SETTLING,
}

_READS = ("_read_ready", "_read_ready__data_received", "_read_ready__get_buffer")
_LOOP = ("asyncio/", "selectors.py")


def stage_of(sample: Sample) -> str:
    """Tell the stage of a sample."""
    for beginning, stage in THREADS.items():
        if sample.thread.startswith(beginning):
            return stage
    for frame in reversed(sample.frames):
        if stage := _own(frame):
            return stage
    return _shared(sample.frames)


def _own(frame: Frame) -> str | None:
    """Give the stage that the table has for a frame, by the most exact entry."""
    for known in (f"{frame.path}:{frame.function.rpartition('.')[2]}", frame.path):
        if known in MODULES:
            return MODULES[known]
    folder = frame.path
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        if stage := MODULES.get(f"{folder}/") or LIBRARIES.get(f"{folder}/"):
            return stage
    return None


def _shared(frames: Sequence[Frame]) -> str:
    """Tell apart what only the event loop has called: the hub's socket, which most data comes from, or itself."""
    if any(frame.function.rpartition(".")[2] in _READS for frame in frames):
        return SOCKET
    if frames and frames[-1].path.startswith(_LOOP):
        return EVENT_LOOP
    return OTHER
