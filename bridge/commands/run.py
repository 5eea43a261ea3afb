"""`portos-bridge run`: bridge until told to stop."""

import asyncio
import logging

from bridge.commands.configuration import configured, read
from bridge.heap import fix_thresholds

__all__ = ["run"]


def run() -> int:
    """Run the bridge with the configuration of this process; the exit status is the service's."""
    fix_thresholds()
    configuration = configured()
    from bridge.service import run as serve  # noqa: PLC0415 - a wrong configuration is told at once, without all that it imports

    for warning in configuration.warnings:
        logging.getLogger(__name__).warning("%s", warning)
    status: int = asyncio.run(serve(configuration, read))
    return status
