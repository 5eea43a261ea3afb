"""Faults below the hub's protocol: a server that hangs, and requests answered with a status that they did not earn.

A middleware of the API's application; the control port never has these faults.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from bridge.simulator.access import problem

__all__ = ["HttpFaults"]


@dataclass(slots=True)
class _Answer:
    status: int
    times: int
    path: str


class HttpFaults:
    """What is to go wrong with the next requests; while `speaking` is not set, none is answered."""

    def __init__(self, speaking: asyncio.Event) -> None:
        self._speaking = speaking
        self._answers: list[_Answer] = []

    def answer(self, status: int, *, times: int, path: str) -> None:
        """Answer the next requests whose path begins so with a status and its problem."""
        self._answers.append(_Answer(status, times, path))

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a request through, or not."""
        await self._speaking.wait()
        for answer in self._answers:
            if request.path.startswith(answer.path):
                answer.times -= 1
                self._answers = [each for each in self._answers if each.times > 0]
                return problem(answer.status)
        return await handler(request)
