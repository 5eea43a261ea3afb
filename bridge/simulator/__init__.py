"""A Portos API to develop and test against: login, resource lists, the SignalR hub, and a shop whose resources change.

`simulate` runs one inside a test or a demo; `portos-bridge simulate` runs one as a process. The wire looks as the real
ASP.NET Core server's does, and faults are methods and calls of the control port.
"""

from bridge.simulator.life import simulate
from bridge.simulator.option import SimulatorOptions
from bridge.simulator.server import Simulator
from bridge.simulator.store import Change

__all__ = ["Change", "Simulator", "SimulatorOptions", "simulate"]
