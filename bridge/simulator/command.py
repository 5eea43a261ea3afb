"""`portos-bridge simulate`: a simulator as a process, for who has no Portos at hand."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from bridge.simulator.life import simulate
from bridge.simulator.option import SimulatorOptions

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run a simulator until SIGTERM or SIGINT and give the exit status: 0, or 1 when it cannot listen."""
    options = _options(argv)
    try:
        asyncio.run(_run(options))
    except OSError as error:
        print(f"portos-bridge simulate: cannot listen: {error}", file=sys.stderr)  # noqa: T201 - the program's voice
        return 1
    return 0


async def _run(options: SimulatorOptions) -> None:
    async with simulate(options) as simulator:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, simulator.ended.set)
        print(  # noqa: T201 - who waits for the line reads it from standard output
            f"portos-simulator ready on {simulator.url}, control on {simulator.control_url}", flush=True
        )
        await simulator.ended.wait()


def _options(argv: Sequence[str]) -> SimulatorOptions:
    usual = SimulatorOptions()
    parser = argparse.ArgumentParser(
        prog="portos-bridge simulate",
        allow_abbrev=False,
        description="Run a Portos API with a lively shop: login, REST lists, and the SignalR hub.",
        epilog="The control port takes JSON: GET /state, /truth, /ledger?since=N, /burst/N; POST /change, /burst, "
        "/licence, /raw, /bytes, /refuse, /forget, /disconnect, /restart, /silence, /answer, /expire, /revoke, "
        "/reject, /lifetime, /shutdown.",
    )
    parser.add_argument("--host", default=usual.host, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="port of the API, 0 for any (default %(default)s)")
    parser.add_argument("--control-port", type=int, default=3001, help="port of the controls (default %(default)s)")
    parser.add_argument("--username", default=usual.username, help="the one account (default %(default)s)")
    parser.add_argument("--password", default=usual.password, help="its password (default %(default)s)")
    parser.add_argument("--rate", type=float, default=5, help="changes a second; 0 is none (default %(default)s)")
    parser.add_argument("--seed", type=int, default=usual.seed, help="which day the shop has (default %(default)s)")
    parser.add_argument("--token-lifetime-seconds", type=float, default=usual.token_lifetime_seconds)
    parser.add_argument("--keepalive-seconds", type=float, default=usual.keepalive_seconds)
    parser.add_argument("--close-on-expiry", action="store_true", help="close a connection when its token expires")
    return SimulatorOptions(**vars(parser.parse_args(argv)))
