"""The command line: `portos-bridge`, also `python -m bridge`.

There are no options for settings: they are environment variables or files, so that no process list shows a secret.
Commands are imported when they are asked for, so that `version` and `healthcheck` start fast.
"""

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module

from bridge import __version__
from bridge.errors import ConfigError, JournalOwned, StorageFailed
from bridge.leaving import leave

__all__ = ["main"]

BUG, STORAGE, OWNED, CONFIGURATION = 1, os.EX_IOERR, os.EX_TEMPFAIL, os.EX_CONFIG
_VERSION = f"portos-bridge {__version__}"
_INTERRUPTED = 130  # what a shell reports for SIGINT

_OWN_OPTIONS = {
    "demo": "bridge.demo",
    "dlq": "bridge.commands.dlq",
    "journal": "bridge.commands.journal",
    "simulate": "bridge.simulator.command",
}
_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Without `argv` it is the process's own, which ends with it.

    0 orderly end, 1 a bug, 74 the journal's disk failed, 75 another process owns the journal, 78 wrong configuration.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(argv)
    if rest and options.command not in _OWN_OPTIONS:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        status = _command(options, rest)()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is told without secrets
        status = _failed(error)
    return leave(status) if argv is None else status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portos-bridge",
        description="Bridges the notifications of a Portos system to Kafka and MQTT."
        " Without a command it runs the bridge.",
    )
    parser.add_argument("--version", action="version", version=_VERSION, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")
    commands.add_parser("run", help="bridge until told to stop (the default)")
    check = commands.add_parser("check", help="check the configuration and show it without secrets")
    check.add_argument("--connect", action="store_true", help="log in, subscribe and connect each sink as well")
    check.add_argument(
        "--create-topics", action="store_true", help="do that, and create what topics are missing at the brokers"
    )
    config = commands.add_parser("config", help="show what can be configured").add_subparsers(
        dest="topic", metavar="topic", required=True
    )
    env = config.add_parser("env", help="print all variables as a commented environment file")
    env.add_argument("--markdown", action="store_true", help="print the reference tables instead")
    env.add_argument("--into", metavar="FILE", help="write the reference tables between their markers in a file")
    explain = commands.add_parser("explain", help="show what becomes of a notification, without hub or broker")
    explain.add_argument("file", nargs="?", metavar="FILE", help="the notification as JSON; - is standard input")
    schema = commands.add_parser("schema", help="print the JSON Schema of what is published, or the names of all")
    schema.add_argument("name", nargs="?", metavar="NAME", help="an event's name, or another of those listed")
    commands.add_parser("asyncapi", help="describe what the configuration publishes, and where, as AsyncAPI 3.0")
    tail = commands.add_parser("tail", help="show what the hub says, without journal or sinks, until Ctrl-C")
    tail.add_argument(
        "--resource", dest="resources", action="append", default=[], metavar="NAME", help="this one alone; repeatable"
    )
    tail.add_argument("--json", dest="as_json", action="store_true", help="a CloudEvents event in JSON a line")
    commands.add_parser(
        "journal", help="look into the journal, check it, write it out, repair it, trim it", add_help=False
    )
    commands.add_parser("dlq", help="look at dead letters, send them again, throw them away", add_help=False)
    commands.add_parser("demo", help="show a bridge at work, with a simulated hub and a broker", add_help=False)
    commands.add_parser("simulate", help="be a Portos hub to develop and test against", add_help=False)
    commands.add_parser("healthcheck", help="exit with 0 if the bridge on this machine is alive")
    commands.add_parser("version", help="print the version")
    return parser


def _command(options: argparse.Namespace, rest: Sequence[str]) -> Callable[[], int]:
    """Give the function to call; only the modules of that command are imported."""
    match options.command:
        case "version":
            return _version
        case "check" | "explain" | "tail" as name:
            given = {option: value for option, value in vars(options).items() if option != "command"}
            return partial(_imported(f"bridge.commands.{name}", name), **given)
        case "config":
            show = _imported("bridge.commands.config", "environment")
            return partial(show, markdown=options.markdown, into=options.into)
        case "schema":
            return partial(_imported("bridge.commands.schema", "show"), options.name)
        case "demo" | "dlq" | "journal" | "simulate":
            return partial(_imported(_OWN_OPTIONS[options.command], "main"), rest)
        case command:
            name = command or "run"
            if name == "run":
                _hold_hangups()
            return _imported(f"bridge.commands.{name}", name)


def _hold_hangups() -> None:
    """Have SIGHUP wait, in all threads to come, until `bridge.stopping` asks for it: it interrupts and ends nothing."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # for a thread that a library lets receive it after all
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))  # what is held back is kept, ignored or not (Linux)


def _imported(module: str, function: str) -> Callable[..., int]:
    found: Callable[..., int] = getattr(import_module(module), function)
    return found


def _version() -> int:
    print(_VERSION)  # noqa: T201 - a command's output
    return 0


def _failed(error: Exception) -> int:
    """Tell what went wrong and choose the exit status: the gravest of what failed, which is the lowest number."""
    from bridge import log  # noqa: PLC0415 - only a failure needs it

    leaves = list(_leaves(error))
    status = min(map(_status, leaves))
    configured = log.configured()
    if status == BUG and configured:
        _logger.error("this is a bug; please report it", exc_info=error)
    elif status == BUG:
        _tell([log.redacted("".join(traceback.format_exception(error)))])
    else:
        lines = [line for leaf in leaves for line in (leaf.problems if isinstance(leaf, ConfigError) else [str(leaf)])]
        for line in lines if configured else ():
            _logger.error("%s", line)
        if not configured:
            _tell([f"portos-bridge: {log.redacted(line)}" for line in lines])
    return status


def _status(error: BaseException) -> int:
    match error:
        case StorageFailed():
            return STORAGE
        case JournalOwned():
            return OWNED
        case ConfigError():
            return CONFIGURATION
        case _:
            return BUG


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _tell(lines: Sequence[str]) -> None:
    print(*lines, sep="\n", file=sys.stderr)  # noqa: T201 - the log may not be set up


if __name__ == "__main__":
    sys.exit(main())
