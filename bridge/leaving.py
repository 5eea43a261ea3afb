"""The end of a process in which a thread hangs.

Python waits at its end for every thread that is no daemon, and none can be ended that waits for a name or a file. A
stop would last until a supervisor kills it, and be told as a kill (137) though all is stored, closed and said. Used by
the command line.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["leave"]

_log = logging.getLogger(__name__)
_LEAVE_SECONDS = 1.0


def leave(status: int) -> int:
    """Give the exit status back where all threads end within a moment; where one hangs, end the process with it.

    What Python would do at its end is left out then, and none of it is ours: whoever calls this has closed the journal,
    the sinks and all else, or has said that it could not; lines of the log are written when they are said. Nor does any
    thread hold what a kill could harm: who changes the journal's file is waited for, or is a salvage, which a kill may
    end at any point.
    """
    ends_at = time.monotonic() + _LEAVE_SECONDS
    for thread in _others():
        thread.join(max(0.0, ends_at - time.monotonic()))
    hanging = _others()
    if not hanging:
        return status
    names = ", ".join(thread.name for thread in hanging)
    _log.warning("ended without waiting for threads that hang, as a rule in a name or a file: %s", names)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever reads it is gone
            stream.flush()
    os._exit(status)


def _others() -> Sequence[threading.Thread]:
    return [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
