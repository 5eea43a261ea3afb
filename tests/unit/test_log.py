"""What a line of the log looks like, and what never stands in one."""

import asyncio
import base64
import gc
import io
import json
import logging
import random
import threading
import time
import warnings
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest

from bridge import log
from tests.unit.log_state import restored

CANARY = 'C4nary-"pa\\ss wörd&/+%'
logger = logging.getLogger("bridge.test")


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the process's logging back as it was."""
    with restored(monkeypatch):
        yield


@pytest.fixture
def stream() -> io.StringIO:
    """JSON at debug level, with the canary as a configured secret."""
    stream = io.StringIO()
    log.configure("debug", "json", [CANARY], stream)
    return stream


def console(level: str = "debug") -> io.StringIO:
    stream = io.StringIO()
    log.configure(level, "console", [CANARY], stream)
    return stream


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_its_fields_beside_the_message(stream: io.StringIO) -> None:
    """One object a line, with what a log store needs, the fixed fields first."""
    logger.info("connected to %s", "hub", extra={"attempt": 2, "reasons": ("a", None)})

    (entry,) = entries(stream)
    assert list(entry)[:4] == ["time", "level", "logger", "message"]
    assert entry["message"] == "connected to hub"
    assert (entry["level"], entry["logger"], entry["attempt"], entry["reasons"]) == (
        "info",
        "bridge.test",
        2,
        ["a", None],
    )


def test_times_are_utc_with_milliseconds(stream: io.StringIO) -> None:
    """Lines of several machines can be put in order."""
    record = logging.makeLogRecord({"msg": "x", "levelno": logging.INFO, "created": 1_764_031_975.0004})

    logging.getLogger().handle(record)

    assert entries(stream)[0]["time"] == "2025-11-25T00:52:55.000Z"


def test_a_console_line_is_one_line() -> None:
    """Foreign text can neither begin a line of its own nor speak to the terminal."""
    stream = console()

    logger.warning("refused: %s", "no\nERROR fake\x1b[2J", extra={"sink": "kaf\nka"})

    assert stream.getvalue().count("\n") == 1
    assert "warning bridge.test: refused: no\\nERROR fake\\x1b[2J sink=kaf\\nka" in stream.getvalue()


def test_the_form_follows_the_terminal() -> None:
    """`auto` is for people on a terminal and for machines elsewhere."""
    terminal, pipe = Terminal(), io.StringIO()

    log.configure("info", "auto", (), terminal)
    logger.info("hello")
    log.configure("info", "auto", (), pipe)
    logger.info("hello")

    assert terminal.getvalue().endswith("info    bridge.test: hello\n")
    assert entries(pipe)[0]["message"] == "hello"


@pytest.mark.parametrize("name", ["SignalRCoreClient", "aiokafka.conn", "paho", "aiohttp.client"])
def test_libraries_are_quiet_even_at_debug(name: str, stream: io.StringIO) -> None:
    """A library's debug line can hold a whole message, so it never gets through."""
    logging.getLogger(name).info("body")
    logging.getLogger(name).warning("trouble")

    assert [entry["message"] for entry in entries(stream)] == ["trouble"]


def test_libraries_can_be_silenced_altogether(stream: io.StringIO) -> None:
    """Where a command says in its output what they say of a failure, and nothing else speaks."""
    log.hush_libraries()
    logging.getLogger("aiokafka.conn").error("Unable to connect")
    logger.warning("ours")

    assert [entry["message"] for entry in entries(stream)] == ["ours"]


def test_requests_of_probes_are_not_logged(stream: io.StringIO) -> None:
    """A probe every few seconds is no event."""
    logging.getLogger("aiohttp.access").error("GET /livez")

    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"password={CANARY!r}",
        f"{CANARY.encode()!r}",
        json.dumps({"password": CANARY}),
        json.dumps({"password": CANARY}, ensure_ascii=False),
        f"https://hub/?{urlencode({'p': CANARY})}",
        f"https://hub/{quote(CANARY, safe='')}",
        base64.b64encode(CANARY.encode()).decode(),
    ],
    ids=["plain", "repr", "bytes", "json", "json as text", "form", "path", "base64"],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_is_masked_in_every_spelling(text: str, form: str) -> None:
    """However a library quotes, escapes or encodes a secret, it does not come through."""
    stream = io.StringIO()
    log.configure("debug", form, [CANARY], stream)

    logger.error("%s", text, extra={"field": text, "nested": {text: [text]}})

    shown = stream.getvalue()
    assert "**********" in shown
    assert "C4nary" not in shown
    assert text not in shown


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_masked(form: str) -> None:
    """An exception, its cause and its notes are redacted like any other text."""
    stream = io.StringIO()
    log.configure("debug", form, [CANARY], stream)
    try:
        try:
            _fail()
        except ValueError as error:
            error.add_note(f"note {CANARY}")
            raise RuntimeError(f"again {CANARY}") from error
    except RuntimeError:
        logger.exception("failed")

    assert "RuntimeError" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "C4nary" not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer **********"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln here", "got ********** here"),
        ("GET /hub?id=Zx81_q&access_token=t0k3n HTTP/1.1", "GET /hub?id=**********&access_token=********** HTTP/1.1"),
        ('{"accessToken": "0123456789"}', '{"accessToken": "**********"}'),
        ("mqtt://user:hunter2@broker:1883", "mqtt://user:**********@broker:1883"),
        ("http://broker:8080/path stays, and so does id=5", "http://broker:8080/path stays, and so does id=5"),
        ("the token was refused: access_token expired", "the token was refused: access_token expired"),
    ],
)
def test_what_looks_like_a_token_is_masked(text: str, shown: str) -> None:
    """Tokens that nobody told the log about are known by their form; other text is left as it is."""
    assert log.redacted(text) == shown


def test_a_token_obtained_at_run_time_is_masked(stream: io.StringIO) -> None:
    """What is registered later is kept out from then on, and the configured secrets stay so."""
    for number in range(40):
        log.redact(f"opaque-token-{number}")

    logger.info("%s and %s", "opaque-token-39", CANARY)

    assert entries(stream)[0]["message"] == "********** and **********"


def test_a_record_that_cannot_be_written_shows_no_arguments() -> None:
    """The standard library prints the arguments of such a record; here only its place is told."""
    stream = console()

    logger.info("%d", CANARY)

    assert "could not be written" in stream.getvalue()
    assert "C4nary" not in stream.getvalue()


def test_a_warning_of_python_is_a_line_of_the_log(stream: io.StringIO) -> None:
    """`warnings.warn` goes the same way as everything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        log.configure("debug", "json", [CANARY], stream)
        warnings.warn(f"deprecated {CANARY}", stacklevel=1)

    assert "deprecated" in str(entries(stream)[0]["message"])
    assert "C4nary" not in stream.getvalue()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_told_without_secrets(stream: io.StringIO) -> None:
    """Python would print the traceback as it is."""
    thread = threading.Thread(target=_fail)
    thread.start()
    thread.join()

    assert entries(stream)[0]["message"] == "a thread let an exception escape"
    assert "C4nary" not in stream.getvalue()


def test_a_destructor_that_fails_is_told_without_secrets(stream: io.StringIO) -> None:
    """Python would print the traceback as it is."""
    Failing()
    gc.collect()

    assert entries(stream)[0]["message"] == "a destructor let an exception escape"
    assert "C4nary" not in stream.getvalue()


async def test_a_task_nobody_waited_for_is_told_without_secrets(stream: io.StringIO) -> None:
    """asyncio reports what was never retrieved through its own logger."""
    task = asyncio.get_running_loop().create_task(_fail_later())
    await asyncio.wait([task])
    del task
    gc.collect()

    assert "never retrieved" in str(entries(stream)[0]["message"])
    assert "C4nary" not in stream.getvalue()


def test_a_canary_in_many_lines_never_appears(stream: io.StringIO) -> None:
    """Row X1 of the failure table: debug lines with secrets in text, fields and exceptions, 0 hits."""
    dice = random.Random(5)  # noqa: S311 - only the same on every run
    for number in range(5_000):
        error = ConnectionError(f"{dice.random()} {CANARY} refused")
        logger.debug("%d %s", number, CANARY * dice.randrange(3), exc_info=error, extra={"why": error})

    assert stream.getvalue().count("\n") == 5_000
    assert "C4nary" not in stream.getvalue()


def test_a_line_is_cheap_enough(stream: io.StringIO) -> None:
    """A line costs well under a millisecond, so that logging a storm of errors does not stop the bridge."""
    started = time.perf_counter()
    for number in range(1_000):
        logger.info("connected to %s", "hub", extra={"attempt": number})

    assert time.perf_counter() - started < 1


class Terminal(io.StringIO):
    """A stream on which a person looks."""

    def isatty(self) -> bool:
        return True


class Failing:
    """An object whose destructor fails."""

    def __del__(self) -> None:
        raise ValueError(CANARY)


def _fail() -> None:
    raise ValueError(CANARY)


async def _fail_later() -> None:
    raise ValueError(CANARY)
