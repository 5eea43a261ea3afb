"""`python -m tests.bench.performance [PART...]`: measure parts one after another, and keep what each came to."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.contender import PEER
from tests.bench.ground import Ground
from tests.bench.performance.backlog import backlog
from tests.bench.performance.drain import drain
from tests.bench.performance.endurance import endurance
from tests.bench.performance.growth import ids, resources, sinks, sizes
from tests.bench.performance.limits import limits
from tests.bench.performance.peers import peers
from tests.bench.performance.record import FOLDER, write
from tests.bench.performance.session import Session
from tests.bench.performance.start import start
from tests.bench.performance.sustained import sustained
from tests.bench.performance.warming import warm
from tests.bench.report import lost

__all__ = ["PARTS", "main"]

Part = Callable[[Session], None]
PARTS: dict[str, Part] = {
    "peers": peers,
    "start": start,
    "sinks": sinks,
    "sustained": sustained,
    "drain": drain,
    "backlog": backlog,
    "sizes": sizes,
    "limits": limits,
    "ids": ids,
    "resources": resources,
    "endurance": endurance,
}
"""In the order in which they are measured; without names all but the last are."""


def main() -> int:
    """Measure; 1 if a run gave no figures or a message is missing. A part that fails loses no other."""
    options = _options()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        raise SystemExit(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    failed = 0
    for name in options.parts or [name for name in PARTS if name != "endurance"]:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        with Ground() as ground:
            session = Session(ground, options.scale, options.rounds)
            try:
                session.take(name, "", lambda part=name, at=session: _measured(part, at))
            finally:
                seconds = time.monotonic() - began
                if session.figures:
                    write(
                        options.into,
                        name,
                        session.figures,
                        command=_command(name, options),
                        seconds=seconds,
                        failed=session.failed,
                        notes=session.noted(),
                    )
        print(f"== {name}: {seconds:.0f} s, {len(session.failed)} runs without figures", flush=True)
        columns = {column for each in session.figures.values() for column in each}
        if missing := lost(session.figures, [column for column in columns if column.endswith(PEER)]):
            print(f"{missing:,.0f} messages are missing", flush=True)
        failed += len(session.failed) + (not session.figures) + (missing > 0)
    return 1 if failed else 0


def _measured(name: str, session: Session) -> dict[str, float]:
    warm(session)
    PARTS[name](session)
    return {}


def _command(name: str, options: argparse.Namespace) -> str:
    """Say how to measure a part so again."""
    rounds = f" --rounds {options.rounds}" if options.rounds else ""
    scale = f" --scale {options.scale:g}" if options.scale != 1 else ""
    return f"python -m tests.bench.performance {name}{rounds}{scale}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.performance", description="Measure how cost grows with the work."
    )
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all but endurance where none is named")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of everything, instead of each part's own")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of each count is sent, 0.1 for a try")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder for what is measured")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
