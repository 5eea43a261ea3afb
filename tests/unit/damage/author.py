"""Writes a journal with the real code while the broker is away, and waits to be killed: run as a process of its own."""

import asyncio
import random
import sys
from pathlib import Path

from bridge.journal import Limits, open_journal
from tests.unit.journal.conftest import messages

SINKS = ("kafka", "mqtt")
WINDOW = 40
LARGEST_COMMIT = 120


async def write(path: Path, seed: int, count: int) -> None:
    """Store `count` events in commits of all sizes; settle some early ones, then nothing; print how far it came."""
    dice = random.Random(seed)  # noqa: S311 - a schedule
    limits = Limits(2**26, 2**20, 20, 0.02)
    async with open_journal(path, SINKS, 2**26, limits) as journal:
        journal.ledger.received = 0
        stored = 0
        settled = dict.fromkeys(SINKS, 0)
        folded = False
        while stored < count:
            size = dice.choice((1, 1, 1, 2, 7, 30, LARGEST_COMMIT))
            body = b'{"p":"%s"}' % bytes(
                dice.choices(b"abcdefghijklmnopqrstuvwxyz ", k=dice.choice((20, 300, 900, 6000)))
            )
            journal.ledger.received += size
            await journal.append(messages(stored + 1, size, body), proved_at=100.0 + stored + size)
            stored += size
            if not folded and stored > count * 0.7:  # most of it into the file, as SQLite does every 4 MiB
                await journal._writer.call(lambda store: store._db.execute("PRAGMA wal_checkpoint").fetchall())
                folded = True
            for sink in SINKS:
                if stored < count // 3 and dice.random() < 0.5:
                    page = await journal.read(sink, WINDOW)
                    taken = dice.randint(1, len(page.messages))
                    await journal.settle(sink, page, taken, {})
                    journal.ledger.sinks[sink].delivered += taken
                    settled[sink] = page.seqs[taken - 1]
        await journal._recorder.all_written()
        await journal._writer.call(lambda _: None)  # the mark is written behind the last answer
        print(stored, *settled.values(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
