"""Questions that may never be answered: how many threads they may keep, and who waits for them."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from bridge.threads import Asking
from tests.support import until


@pytest.fixture
def answers() -> Iterator[threading.Event]:
    """Lets who asks go once it is set."""
    made = threading.Event()
    yield made
    made.set()


async def test_what_is_asked_is_answered_and_leaves_no_thread() -> None:
    """What it raises is raised to who waits for it."""
    asking, before = Asking(60, 2), threading.active_count()

    assert await asking.ask(lambda: "a file") == "a file"
    with pytest.raises(ZeroDivisionError):
        await asking.ask(lambda: 1 // 0)

    assert asking.may_ask()
    await until(lambda: threading.active_count() <= before, 5, "the threads have ended")


async def test_another_is_asked_beside_one_that_hangs_after_a_while_and_at_once_when_it_hangs_no_more(
    answers: threading.Event,
) -> None:
    """Each while is longer than the one before, and there is a last one."""
    asking, clock = Asking(0.1, 3, growth=3), asyncio.get_running_loop().time
    seconds = []

    for _ in range(2):
        asking.ask(lambda: answers.wait(20))
        since = clock()
        await until(asking.may_ask, 5, "time for another")
        seconds.append(clock() - since)
    asking.ask(lambda: answers.wait(20))
    await asyncio.sleep(1)
    assert not asking.may_ask()
    answers.set()
    await asyncio.wait_for(asking.turn(), 5)

    assert seconds[0] >= 0.1
    assert seconds[1] >= 0.3
    assert asking.may_ask()


def test_the_end_of_a_loop_waits_for_no_answer(answers: threading.Event) -> None:
    """As the end of a stop does not: nothing that is asked changes anything."""

    async def asked() -> None:
        Asking(60, 2).ask(lambda: answers.wait(20))

    began = time.monotonic()
    asyncio.run(asked())

    assert time.monotonic() - began < 10
