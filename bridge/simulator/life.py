"""The life of a simulator as a block: enter and it listens, leave and nothing of it is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.simulator.control import control_application
from bridge.simulator.listener import Listener
from bridge.simulator.option import SimulatorOptions
from bridge.simulator.server import Simulator

__all__ = ["simulate"]


@asynccontextmanager
async def simulate(options: SimulatorOptions | None = None) -> AsyncIterator[Simulator]:
    """Run a simulator, with its control port, on the caller's event loop.

    Raise OSError when a port is taken. What failed in its background work is raised on leaving.
    """
    simulator = Simulator(options or SimulatorOptions())
    control = Listener(control_application(simulator), simulator.options.host, simulator.options.control_port)
    # Not in a TaskGroup around `yield`: it would wrap every failed assertion of a test in an ExceptionGroup.
    life = asyncio.create_task(simulator.live(), name="simulator")
    try:
        await control.start()
        simulator.control_url = control.url
        await simulator.come_back()
        yield simulator
    finally:
        life.cancel()
        await asyncio.wait([life])
        await simulator.close()
        await control.close()
        if not life.cancelled():
            life.result()
