"""Where `make profile` sends each sample: its tables name what exists, and shares become microseconds."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.bench.profile.flame import flame
from tests.bench.profile.sample import Frame, Sample, read, weighed
from tests.bench.profile.stages import LIBRARIES, MODULES, OTHER, STAGES, THREADS, stage_of

ROOT = Path(__file__).parents[3]
MAIN = "thread (26): MainThread;run (/r/bridge/pipeline.py:9);"


def sample(*frames: tuple[str, str], thread: str = "MainThread") -> Sample:
    return Sample(1, thread, tuple(Frame(function, path) for function, path in frames), 1)


@pytest.mark.parametrize("entry", MODULES)
def test_every_module_of_the_table_exists(entry: str) -> None:
    """A module that has moved must not silently become `other`."""
    path, _, function = entry.partition(":")

    assert (ROOT / path).exists()
    assert not function or f"def {function}(" in (ROOT / path).read_text()


@pytest.mark.parametrize("entry", LIBRARIES)
def test_every_library_of_the_table_is_one_of_ours(entry: str) -> None:
    assert find_spec(entry.strip("/"))


def test_every_stage_of_the_tables_is_shown() -> None:
    assert {*MODULES.values(), *LIBRARIES.values(), *THREADS.values()} <= set(STAGES)


@pytest.mark.parametrize(
    ("frames", "stage"),
    [
        ([("run", "bridge/pipeline.py"), ("deliver", "sinks/kafka/sink.py")], "sink and client library"),
        ([("deliver", "sinks/kafka/sink.py"), ("record_of", "sinks/kafka/records.py")], "encoding for the sink"),
        ([("append", "bridge/journal/log.py"), ("encode", "bridge/journal/chunk.py")], "journal: encode, hand over"),
        ([("Reader.take", "bridge/journal/log.py"), ("decode", "bridge/journal/chunk.py")], "reading back"),
        (
            [("_message", "bridge/portos/notifications.py"), ("event_id", "bridge/message.py")],
            "SignalR records and JSON",
        ),
        ([("send", "aiokafka/conn.py"), ("write", "asyncio/selector_events.py")], "sink and client library"),
        (
            [("_run_once", "asyncio/base_events.py"), ("T._read_ready", "asyncio/selector_events.py")],
            "read socket and WebSocket",
        ),
        ([("_run_once", "asyncio/base_events.py"), ("select", "selectors.py")], "event loop"),
        ([("strange", "elsewhere.py")], OTHER),
        ([], OTHER),
    ],
)
def test_a_stack_belongs_to_its_innermost_frame_with_a_stage(frames: list[tuple[str, str]], stage: str) -> None:
    assert stage_of(sample(*frames)) == stage


def test_the_journal_thread_is_a_stage_whatever_it_does() -> None:
    assert stage_of(sample(("get", "queue.py"), thread="journal")) == "journal thread (SQLite)"


def test_samples_name_no_machine() -> None:
    installed = "/r/.venv/lib/python3.13/site-packages/aiokafka/conn.py"
    text = f"{MAIN}send ({installed}:4) 3\nthread (7): journal;f (/x/y.py:1) 2\n"

    first, second = read(text, "/r")

    assert first == Sample(26, "MainThread", (Frame("run", "bridge/pipeline.py"), Frame("send", "aiokafka/conn.py")), 3)
    assert second == Sample(7, "journal", (Frame("f", "y.py"),), 2)


def test_what_is_no_sample_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="not a line"):
        list(read("run (a.py:1) 3", "/r"))


def test_each_thread_has_the_time_that_the_kernel_counted() -> None:
    """A thread that is sampled more often than it ran has no more for it."""
    samples = [Sample(1, "a", (), 3), Sample(1, "a", (), 1), Sample(2, "b", (), 400)]

    assert [each.weight for each in weighed(samples, {1: 20.0, 2: 1.0})] == [15.0, 5.0, 1.0]


def test_a_flame_is_as_wide_as_the_time_and_names_frames_safely() -> None:
    samples = [
        Sample(1, "MainThread", (Frame("run", "bridge/pipeline.py"), Frame("<lambda>", "sinks/kafka/records.py")), 7.5),
        Sample(2, "journal", (Frame("_serve", "bridge/journal/writer.py"),), 2.5),
    ]

    drawn = flame(samples, "hub to kafka")

    assert "all: 10.00 us a message, 100.0%" in drawn
    assert "&lt;lambda&gt; (sinks/kafka/records.py): 7.50 us a message, 75.0%" in drawn
    assert "journal: 2.50 us a message, 25.0%" in drawn
