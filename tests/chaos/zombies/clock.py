"""A clock that can be set for one program: libfaketime below the installed one, which is as it is."""

from pathlib import Path

from tests.support import unavailable, write_program

__all__ = ["set_clock", "with_clock"]

_PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


def with_clock(folder: Path, program: str) -> str:
    """Write a console script that runs a program on a clock which `set_clock` sets; gives its path."""
    library = next((path for place in _PLACES for path in Path("/").glob(place[1:])), None)
    if library is None:
        unavailable("faketime", "needs libfaketime: install the package of that name")
    set_clock(folder, 0)
    settings = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": folder / "clock",
        "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,  # a clock that is set leaves the others alone
        "NO_FAKE_STAT": 1,
    }
    exports = "".join(f"export {name}='{value}'\n" for name, value in settings.items())
    return write_program(folder / "with-clock", f'#!/bin/sh\n{exports}exec {program} "$@"\n')


def set_clock(folder: Path, seconds: float) -> None:
    """Set the program's clock so far ahead of the true one; in one step, since it reads the file again and again."""
    new = folder / "clock.new"
    new.write_text(f"{seconds:+.1f}s\n")
    new.replace(folder / "clock")
