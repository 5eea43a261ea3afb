"""Tasks that run beside something else, for as long as that lasts."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["beside"]


@asynccontextmanager
async def beside(**work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run named tasks beside the body and cancel them at its end.

    The body's exception comes out as it is; only that of a task, which is a bug, comes out in a group.
    """
    raised: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine, name=name) for name, coroutine in work.items()]
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - raised again below, where the group does not wrap it
            raised = error
        for task in tasks:
            task.cancel()
    if raised is not None:
        raise raised
