"""`portos-bridge check`: tell whether the configuration is right, and with `--connect` whether it works from here."""

import asyncio

from bridge import log
from bridge.commands.configuration import configured
from bridge.settings.effective import effective

__all__ = ["check"]


def check(*, connect: bool, create_topics: bool = False) -> int:
    """Print the effective configuration without secrets, and what should be known about it.

    With `connect` everything is tried as well, one line each; the status is 0 only if all of it worked. With
    `create_topics` what is missing at the sinks' brokers is made.
    """
    configuration = configured()
    for line in (*effective(configuration), *(f"warning: {warning}" for warning in configuration.warnings)):
        print(line)  # noqa: T201 - the command's output
    print("ok: the configuration is valid")  # noqa: T201 - the command's output
    if not connect and not create_topics:
        return 0
    log.hush_libraries()
    from bridge.commands.connect import try_everything  # noqa: PLC0415 - without it, no client library is needed

    return asyncio.run(try_everything(configuration, create=create_topics))
