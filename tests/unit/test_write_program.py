"""Programs that tests write: each can be run at once, whatever other threads start meanwhile."""

import subprocess
import threading
from pathlib import Path

from tests.support import write_program

NOTHING = "#!/bin/sh\nexit 0\n"


def test_a_program_can_be_run_at_once(tmp_path: Path) -> None:
    """No program that starts just then inherits the open file: of such ones one in forty was "Text file busy"."""
    over = threading.Event()

    def start_others() -> None:
        while not over.is_set():
            subprocess.run(["true"], check=True)

    others = [threading.Thread(target=start_others) for _ in range(4)]
    for other in others:
        other.start()
    try:
        for number in range(200):
            subprocess.run([write_program(tmp_path / str(number), NOTHING)], check=True)
    finally:
        over.set()
        for other in others:
            other.join()
