"""Whether an operator wants what cannot be taken back."""

import sys

__all__ = ["confirmed"]


def confirmed(question: str, unasked: str) -> bool:
    """Ask on the terminal; where there is none, say what `unasked` tells to do instead, and take it for a no."""
    if not sys.stdin.isatty():
        print(f"portos-bridge: nobody can be asked here: {unasked}", file=sys.stderr)  # noqa: T201 - beside the output
        return False
    print(f"{question} yes or no: ", end="", file=sys.stderr, flush=True)  # noqa: T201 - not for a pipe
    return sys.stdin.readline().strip().lower() in ("y", "yes")
