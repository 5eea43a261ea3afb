"""What a person sees of the demo: a line a second, a headline a scene, a table at the end."""

import shutil
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, TextIO

from bridge.demo.tally import Tally

__all__ = ["Screen"]

_BOLD, _GREEN, _RED, _DIM, _PLAIN = "\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m"
_LINE_COLUMNS = 91  # of a line with its latency and the gap behind it


class Screen:
    """Writes to a terminal in colour and within its width, and plainly to anything else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty()

    def opening(self, admin_url: str, hub_url: str, mqtt_port: int) -> None:
        """Say what runs, and where to look while it does."""
        self.say(f"{self._paint(_BOLD, 'portos-bridge demo')}: hub -> journal on disk -> MQTT and standard output")
        self.say(f"  simulated Portos hub   {hub_url}/signalr/v1/mainHub")
        self.say(f"  MQTT broker            mqtt://127.0.0.1:{mqtt_port}   topics portos/#")
        self.say(f"  status and metrics     {admin_url}/status and /metrics")
        self.say("")

    def line(  # noqa: PLR0913 - the columns
        self,
        seconds: float,
        status: Mapping[str, Any] | None,
        sent: int,
        delivered: int,
        latencies: Sequence[float],
        newest: str,
    ) -> None:
        """Say how it stands."""
        hub = status is not None and status["hub"]["connected"]
        mqtt = status is not None and status["sinks"]["mqtt"]["connected"]
        waiting = status["sinks"]["mqtt"]["lagEvents"] if status is not None else 0
        latency = f"{median(latencies) * 1000:5.1f} ms" if latencies and hub and mqtt else "       -"
        columns = (
            f"{seconds:5.1f} s  hub {self._lamp(up=hub)}  mqtt {self._lamp(up=mqtt)}  sent {sent:5}  "
            f"delivered {delivered:5}  waiting {waiting:4}"
        )
        if self._has_room_for(_LINE_COLUMNS):
            columns += f"  latency {latency}"
        if self._has_room_for(_LINE_COLUMNS + len(newest)):
            columns += f"  {self._paint(_DIM, newest)}"
        self.say(columns)

    def scene(self, seconds: float, text: str) -> None:
        """Say what happens now."""
        self.say(f"{seconds:5.1f} s  {self._paint(_BOLD, '-- ' + text)}")

    def table(self, result: Tally) -> None:
        """Say what came of it."""
        good = not result.missing and result.accepted > 0
        rows = (
            ("sent by the hub while the bridge listened", f"{result.sent}"),
            ("of that, cut off when it went away", f"{result.cut}"),
            ("told by the hub while nobody listened", f"{result.unheard}   (a hub forgets them)"),
            ("of both, outside the windows told over MQTT", self._verdict(result.hidden, good=not result.hidden)),
            ("accepted by the bridge", f"{result.accepted}"),
            ("delivered to the MQTT subscriber", f"{result.delivered}"),
            ("missing of what was accepted", self._verdict(result.missing, good=good)),
            ("repeated", f"{result.repeated}   (at most 100 after the outage)"),
            ("told windows", f"{result.windows}: before the first start, and {result.blind:.1f} s without the hub"),
            ("hub to subscriber, half of all", f"{result.latency_p50 * 1000:.1f} ms"),
            ("hub to subscriber, 99 % of all", f"{result.latency_p99 * 1000:.0f} ms, with the outage"),
        )
        self.say("")
        for name, value in rows:
            self.say(f"  {name:<45}{value}")

    def onwards(self, program: str) -> None:
        """Say how to go on from here, with the program as it is called."""
        self.say("")
        self.say("  Against your own hub and broker: set the variables that")
        self.say(f"  `{program} config env` prints, try them with")
        self.say(f"  `{program} check --connect`, then `{program} run`.")
        self.say("  The README has a ready example.")

    def text(self, text: str) -> None:
        """Show a log as it is."""
        self._out.write(text)
        self._out.flush()

    def say(self, text: str) -> None:
        """Write a line at once."""
        self._out.write(text + "\n")
        self._out.flush()

    def _has_room_for(self, columns: int) -> bool:
        return not self._colour or columns <= shutil.get_terminal_size().columns

    def _verdict(self, count: int, *, good: bool) -> str:
        return self._paint(_GREEN if good else _RED, f"{count}")

    def _lamp(self, *, up: bool) -> str:
        return self._paint(_GREEN, "up  ") if up else self._paint(_RED, "down")

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text
