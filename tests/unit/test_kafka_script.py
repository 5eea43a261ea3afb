"""A Kafka by its start script: an unlucky cluster id is drawn anew, and nothing else is hidden by that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.kafka import start_by_script
from tests.brokers.process import Program
from tests.support import write_program

UNLUCKY = "kafka-storage: error: argument --cluster-id/-t: expected one argument"
WRONG = "kafka-storage: error: argument --config/-c is required"
USAGE = "usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID"
SCRIPT = """#!/bin/sh
echo >> "$0.starts"
if [ "$(wc -l < "$0.starts")" -gt {failures} ]; then echo started; exec sleep 60; fi
printf '%s\\n' '{usage}' '{error}' >&2
exit 1
"""


class FakeScript:
    """A start script that fails so many times with an error of Kafka's, and runs then."""

    def __init__(self, folder: Path, failures: int, error: str) -> None:
        self._path = folder / "kafka"
        program = write_program(self._path, SCRIPT.format(failures=failures, usage=USAGE, error=error))
        self.program = Program([program], folder / "log")

    def start(self) -> None:
        start_by_script(self.program, lambda: "started" in self.program.output(), 10)

    @property
    def starts(self) -> int:
        return len(self._path.with_suffix(".starts").read_text().splitlines())


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FakeScript]:
    made = FakeScript(tmp_path, *request.param)
    yield made
    made.program.kill()


@pytest.mark.parametrize(("script", "starts"), [((0, UNLUCKY), 1), ((2, UNLUCKY), 3)], indirect=["script"])
def test_an_unlucky_cluster_id_is_drawn_anew(script: FakeScript, starts: int) -> None:
    """As often as it takes, and no more often than that."""
    script.start()

    assert script.program.running
    assert script.starts == starts


@pytest.mark.parametrize(
    ("script", "starts"), [((1, WRONG), 1), ((99, UNLUCKY), 5)], ids=["wrong", "always unlucky"], indirect=["script"]
)
def test_any_other_failure_is_told_at_once(script: FakeScript, starts: int) -> None:
    """Also where Kafka names the option in its usage; and bad luck that does not end is none."""
    with pytest.raises(ChildProcessError, match="kafka-storage: error"):
        script.start()

    assert script.starts == starts
