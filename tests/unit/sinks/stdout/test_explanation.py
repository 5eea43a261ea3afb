"""What the stdout sink says of itself."""

from bridge.contract import sample
from sinks.stdout import plugin
from sinks.stdout.config import StdoutConfig
from sinks.stdout.records import line


def test_an_explanation_is_the_line_that_is_written() -> None:
    assert plugin.explain is not None

    said = plugin.explain(StdoutConfig(), sample(1))

    assert (said.topic, said.payload + b"\n") == ("standard output", line(sample(1), "default"))
