"""`python -m tests.bench.profile`: microseconds of CPU a message by stage, and a flame graph, for each sink."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from tempfile import TemporaryDirectory

import pytest

from tests.bench.contender import OURS, Place, contender, running, thread_seconds
from tests.bench.ground import SINKS, Ground
from tests.bench.load import Watch, burst, watching
from tests.bench.measure import WARM_EVENTS, new_place
from tests.bench.performance.record import FOLDER, ROOT, write
from tests.bench.profile.flame import flame
from tests.bench.profile.sample import Sample, read, weighed
from tests.bench.profile.stages import STAGES, stage_of
from tests.bench.report import Figures, table
from tests.brokers.process import Program
from tests.support import wait_until

_SAMPLES_PER_SECOND = 250
_FIGURE = "CPU us a message"
_WHOLE = "all"


def main() -> int:
    """Profile, print the tables, keep them and the flame graphs; 1 if a sink could not be profiled."""
    options = _options()
    options.into.mkdir(parents=True, exist_ok=True)
    failed = 0
    with Ground() as ground:
        for sink in options.sinks.split(","):
            began = time.monotonic()
            try:
                figures, samples = _profiled(ground, sink, options.events, options.rounds)
            except (AssertionError, OSError, pytest.skip.Exception, pytest.fail.Exception) as reason:
                print(f"without a profile of {sink}: {reason!r}", flush=True)
                failed += 1
                continue
            print(table(figures, [*STAGES, _WHOLE], "", ""), flush=True)
            title = f"hub to {sink}: CPU time of a message by frame"
            (options.into / f"flame-{sink}.svg").write_text(flame(samples, title))
            command = (
                f"python -m tests.bench.profile --sinks {sink} --rounds {options.rounds} --events {options.events}"
            )
            write(options.into, f"profile-{sink}", figures, command=command, seconds=time.monotonic() - began)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description="Profile the bridge.")
    parser.add_argument(
        "--events", type=int, default=60_000, help="events of a burst; half of it for MQTT (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often (%(default)s)")
    parser.add_argument("--sinks", default=",".join(SINKS), help="which sinks (%(default)s)")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder for what is measured")
    return parser.parse_args()


def _profiled(ground: Ground, sink: str, events: int, rounds: int) -> tuple[Figures, list[Sample]]:
    """Give the figures, a column a stage, and all samples, weighed so that they sum up to one message."""
    events = events if sink == "kafka" else events // 2
    figures: Figures = {_FIGURE: {stage: [] for stage in (*STAGES, _WHOLE)}}
    samples: list[Sample] = []
    for _ in range(rounds):
        found = _round(new_place(ground.hub, ground.broker(sink), sink), events)
        for stage, rounds_of_it in figures[_FIGURE].items():
            rounds_of_it.append(sum(each.weight for each in found if stage in (_WHOLE, stage_of(each))))
        samples += [Sample(each.thread_id, each.thread, each.frames, each.weight / rounds) for each in found]
    return figures, samples


def _round(place: Place, events: int) -> list[Sample]:
    """Have the kernel count a burst that nobody samples, then sample another one."""
    who = contender(OURS)
    assert not isinstance(who, str), who
    with running(who, place) as pid:
        with watching(place, WARM_EVENTS, events, sampled=False) as watch:
            burst(place, WARM_EVENTS, 0)
            wait_until(watch.warm, 60, "the warm-up has arrived")
            before = thread_seconds(pid)
            burst(place, events, 0)
            _all_of(watch, events)
            after = thread_seconds(pid)
        with watching(place, 1, events - 1, sampled=False) as watch, _sampling(pid) as output:
            burst(place, events, 0)
            _all_of(watch, events - 1)
        samples = list(read(output(), str(ROOT)))
    micros = {thread: (used - before.get(thread, 0.0)) / events * 1e6 for thread, used in after.items()}
    return weighed(samples, micros)


def _all_of(watch: Watch, events: int) -> None:
    if (count := watch.result().count) < events:
        raise AssertionError(f"{count} of {events} messages arrived")


@contextmanager
def _sampling(pid: int) -> Iterator[Callable[[], str]]:
    """Have py-spy look at a process, which it must not pause; gives what gives its output afterwards."""
    with TemporaryDirectory(prefix="profile-") as folder:
        output = Path(folder) / "samples"
        text: list[str] = []
        options = ["--nonblocking", "--threads", "--function", "--full-filenames", "--format", "raw"]
        rate = ["--rate", str(_SAMPLES_PER_SECOND), "--duration", "3600"]
        command = [str(Path(sys.executable).parent / "py-spy"), "record", *options, *rate]
        spy = Program([*command, "--pid", str(pid), "--output", str(output)], Path(folder) / "log")
        spy.start(lambda: "Sampling process" in spy.output(), 20)
        try:
            yield lambda: text[0]
            spy.signal(SIGINT)
            spy.wait(30)
            text.append(output.read_text())
        finally:
            spy.kill()


if __name__ == "__main__":
    sys.exit(main())
