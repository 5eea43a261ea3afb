"""What py-spy writes with `--format raw`, as samples: a thread, its stack, and how often it was seen.

Pure. Lines are `thread (TID): NAME;function (file:line);... COUNT`, the outermost frame first.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Frame", "Sample", "read", "weighed"]

_THREAD = re.compile(r"thread \((?P<id>\d+)\)(?:: (?P<name>.*))?")
_FRAME = re.compile(r"(?P<function>.+) \((?P<path>.*?)(?::\d+)?\)")
_INSTALLED = re.compile(r".*/(?:site-packages|lib/python3\.\d+)/")


@dataclass(frozen=True, slots=True)
class Frame:
    """A function and where it is: `bridge/journal/log.py`, `aiokafka/client.py`, `asyncio/events.py`."""

    function: str
    path: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A stack of a thread, outermost frame first; `weight` is a count, or microseconds a message once weighed."""

    thread_id: int
    thread: str
    frames: tuple[Frame, ...]
    weight: float


def read(text: str, root: str) -> Iterator[Sample]:
    """Read the raw output; paths below `root` and those of libraries become relative, so that no machine is named."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        first, *frames = stack.split(";")
        thread = _THREAD.fullmatch(first)
        if thread is None:
            raise ValueError(f"not a line of py-spy --threads: {line[:80]!r}")
        name = thread["name"] or "unnamed"
        yield Sample(int(thread["id"]), name, tuple(_frame(frame, root) for frame in frames), int(count))


def weighed(samples: list[Sample], micros: Mapping[int, float]) -> list[Sample]:
    """Share each thread's microseconds of CPU a message out among its samples; a thread without samples has none."""
    total: dict[int, float] = {}
    for sample in samples:
        total[sample.thread_id] = total.get(sample.thread_id, 0) + sample.weight
    return [
        Sample(
            sample.thread_id,
            sample.thread,
            sample.frames,
            micros.get(sample.thread_id, 0.0) * sample.weight / total[sample.thread_id],
        )
        for sample in samples
    ]


def _frame(text: str, root: str) -> Frame:
    match = _FRAME.fullmatch(text)
    if match is None:
        return Frame(text, "")
    path = match["path"]
    if installed := _INSTALLED.match(path):
        return Frame(match["function"], path[installed.end() :])
    if path.startswith(f"{root}/"):
        return Frame(match["function"], path.removeprefix(f"{root}/"))
    return Frame(match["function"], path.rpartition("/")[2])
