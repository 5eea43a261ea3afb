"""The command line: what it prints, and with which status it ends."""

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bridge import __main__, __version__, log, registry
from bridge.commands import config
from bridge.errors import ConfigError, JournalOwned, StorageFailed, Unavailable
from bridge.settings.reference import as_markdown
from tests.support import free_port
from tests.unit.log_state import restored
from tests.unit.settings.wrong import WRONG, Wrong, good_environment, spoilt, variable_of

ENTRIES = (
    "[portos_bridge.sinks]\nexample = tests.unit.settings.example:plugin\nother = tests.unit.settings.example:plugin\n"
)
CANARY = "C4nary-5e6f"


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a command set the log up and the signals, and put all back as it was."""
    handled, held = signal.getsignal(signal.SIGHUP), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with restored(monkeypatch) as root:
        root.handlers[:] = []
        yield
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    signal.signal(signal.SIGHUP, handled)


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    """The least that a bridge needs, with the example as its only sink."""
    return good_environment(tmp_path)


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example, installed as a sink of a third party; the folder is for the path of a child process."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "example-1.0.dist-info").mkdir()
    (folder / "example-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (folder / "example-1.0.dist-info" / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(folder)
    return folder


def process(installed: Path, environ: Mapping[str, str], *argv: str) -> "subprocess.CompletedProcess[str]":
    """Run the program as an operator does, with nothing but these variables."""
    path = os.pathsep.join([str(installed), str(Path(__file__).parents[2])])
    return subprocess.run(
        [sys.executable, "-m", "bridge", *argv],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def within(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.usefixtures("installed")
def test_a_wrong_configuration_ends_with_78_and_all_its_problems(
    wrong: Wrong,
    good: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every problem is a line on standard error, and nothing is on standard output."""
    within(spoilt(good, wrong, tmp_path), monkeypatch)

    status = __main__.main(["run"])

    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert (status, shown.out) == (78, "")
    assert {variable_of(line.removeprefix("portos-bridge: ")) for line in lines} == wrong.named


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ((), "one of each"),
        (("run",), "a section as JSON"),
        (("check",), "file and directory"),
        (("check", "--connect"), "no credentials"),
    ],
    ids=["default", "run", "check", "connect"],
)
def test_the_process_ends_with_78(
    command: tuple[str, ...], name: str, good: dict[str, str], installed: Path, tmp_path: Path
) -> None:
    """Each command that needs a configuration refuses a wrong one in the same way."""
    result = process(installed, spoilt(good, WRONG[name], tmp_path), *command)

    lines = result.stderr.splitlines()
    assert (result.returncode, result.stdout) == (78, "")
    assert {variable_of(line.removeprefix("portos-bridge: ")) for line in lines} == WRONG[name].named


def test_check_shows_what_is_in_effect(good: dict[str, str], installed: Path) -> None:
    """Every variable stands there with its value, defaults and the sinks' included, secrets masked."""
    token = {"PORTOS_BRIDGE_SINK__EXAMPLE__TOKEN": CANARY}

    result = process(installed, good | token, "check")

    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES=tickets,orders" in lines
    assert "PORTOS_BRIDGE_HUB__SILENCE_SECONDS=30" in lines
    assert "PORTOS_BRIDGE_SINK__EXAMPLE__TOKEN=**********" in lines
    assert "PORTOS_BRIDGE_SINK__EXAMPLE__POOL__PASSWORD=" in lines
    assert CANARY not in result.stdout + result.stderr


def test_check_warns_of_what_works_but_should_be_known(good: dict[str, str], installed: Path) -> None:
    """Plaintext and unused variables are told, and are no failure."""
    more = {"PORTOS_BRIDGE_HUB__URL": "http://192.0.2.1", "PORTOS_BRIDGE_SINK__OTHER__URL": "x"}

    result = process(installed, good | more, "check")

    warned = [line.split(": ")[1] for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert (result.returncode, sorted(warned)) == (0, ["PORTOS_BRIDGE_HUB__URL", "PORTOS_BRIDGE_SINK__OTHER__URL"])


def test_check_connect_tries_everything_even_if_the_first_fails(
    good: dict[str, str], installed: Path, tmp_path: Path
) -> None:
    """One line for each trial says what failed; a folder that is missing is not made, nor is a journal."""
    before = set(tmp_path.rglob("*"))

    result = process(
        installed, good | {"PORTOS_BRIDGE_HUB__URL": f"http://127.0.0.1:{free_port()}"}, "check", "--connect"
    )

    trials = [line.split(": ")[:2] for line in result.stdout.splitlines()[-3:]]
    assert (result.returncode, result.stderr) == (1, "")
    assert trials == [
        ["ok", "the journal's volume is writable"],
        ["failed", "Portos gives a token"],
        ["failed", "sink example connects"],
    ]
    assert set(tmp_path.rglob("*")) == before


def test_config_env_can_be_pasted(good: dict[str, str], installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncommented, every line is a variable that exists, with a default that is valid; secrets are empty."""
    printed = process(installed, {"PORTOS_BRIDGE_AUTH__PASSWORD": CANARY}, "config", "env").stdout

    lines = [
        line.removeprefix("#") for line in printed.splitlines() if line.removeprefix("#").startswith("PORTOS_BRIDGE")
    ]
    pasted = dict(line.split("=", 1) for line in lines if "EXAMPLE" in line or "SINK__" not in line)
    result = process(installed, pasted | good, "check")

    assert result.returncode == 0, result.stderr
    assert pasted["PORTOS_BRIDGE_AUTH__PASSWORD"] == ""
    assert CANARY not in printed


def test_the_tables_are_written_between_their_markers(installed: Path, tmp_path: Path) -> None:
    """The text around the tables stays, and a second run changes nothing."""
    page = tmp_path / "page.md"
    begin = "<!-- variables: written by `portos-bridge config env --into docs/configuration.md` -->"
    page.write_text(f"before\n{begin}\nformer tables\n<!-- end of variables -->\nafter\n")

    first = process(installed, {}, "config", "env", "--into", str(page))
    once = page.read_text()
    process(installed, {}, "config", "env", "--into", str(page))

    assert first.returncode == 0, first.stderr
    assert once.startswith(f"before\n{begin}\n\n### Bridge\n")
    assert once.endswith("\n<!-- end of variables -->\nafter\n")
    assert "former tables" not in once
    assert page.read_text() == once


@pytest.mark.skipif(
    not {"kafka", "mqtt", "stdout"} <= set(registry.installed()),
    reason="the program is not installed here: run `make install`",
)
def test_the_tables_in_the_docs_are_fresh() -> None:
    """They are written by the program: run `make reference` after a change."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")

    tables = page.partition(config.BEGIN)[2].partition(config.END)[0]

    assert tables.strip() == as_markdown(config.sections()).strip()


def test_a_file_without_markers_is_left_alone(installed: Path, tmp_path: Path) -> None:
    """Nothing is written where nobody said that tables belong."""
    page = tmp_path / "page.md"
    page.write_text("text\n")

    result = process(installed, {}, "config", "env", "--into", str(page))

    assert (result.returncode, page.read_text()) == (78, "text\n")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageFailed("the disk is gone"), 74),
        (JournalOwned("another has it"), 75),
        (ConfigError(["PORTOS_BRIDGE_X: wrong"]), 78),
        (ValueError("a bug"), 1),
        (Unavailable("should have been retried", reason="network"), 1),
        (ExceptionGroup("tasks", [JournalOwned("x"), ExceptionGroup("more", [StorageFailed("y")])]), 74),
        (ExceptionGroup("tasks", [StorageFailed("x"), KeyError("a bug")]), 1),
    ],
    ids=["storage", "owned", "configuration", "bug", "lost verb", "gravest of a group", "bug in a group"],
)
def test_the_status_says_who_must_act(error: Exception, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever starts the bridge can tell a wrong configuration from a broken disk from a bug."""
    monkeypatch.setattr(__main__, "_command", lambda *_: _raising(error))

    assert __main__.main([]) == status


@pytest.mark.parametrize("configured", [True, False])
def test_a_bugs_traceback_holds_no_secret(
    configured: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A traceback is printed in full, before the log is set up as after, but for the secrets in it."""
    log.redact(CANARY)
    if configured:
        log.configure("debug", "console")
    monkeypatch.setattr(__main__, "_command", lambda *_: _raising(ValueError(f"token {CANARY}")))

    assert __main__.main([]) == 1

    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "ValueError: token **********" in shown


def test_what_stops_a_running_bridge_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the log is set up, the last word comes in its form."""
    log.configure("info", "json")
    monkeypatch.setattr(__main__, "_command", lambda *_: _raising(StorageFailed("the disk is gone")))

    __main__.main([])

    assert '"level": "error", "logger": "bridge.__main__", "message": "the disk is gone"' in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["run", "--hub-url", "x"], ["nonsense"], ["config"], ["check", "extra"]])
def test_a_wrong_command_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Settings are no options: one given so is refused instead of being ignored."""
    with pytest.raises(SystemExit) as error:
        __main__.main(argv)

    assert error.value.code == 2
    assert "usage: portos-bridge" in capsys.readouterr().err


def test_simulate_has_options_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows `simulate` is the simulator's, its help included."""
    given: list[str] = []
    monkeypatch.setattr(__main__, "_imported", lambda module, _: lambda rest: given.extend([module, *rest]) or 0)

    assert __main__.main(["simulate", "--port", "0", "--help"]) == 0

    assert given == ["bridge.simulator.command", "--port", "0", "--help"]


def test_an_option_prints_the_version_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main(["--version"])

    assert (ended.value.code, capsys.readouterr().out) == (0, f"portos-bridge {__version__}\n")


def test_the_help_says_what_happens_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It is run, since that is what images and units start."""
    with pytest.raises(SystemExit):
        __main__.main(["--help"])

    assert "Without a command it runs the bridge." in " ".join(capsys.readouterr().out.split())


def test_version_is_quick_and_needs_no_configuration(installed: Path) -> None:
    """It imports neither settings nor a client library."""
    code = "import sys; from bridge.__main__ import main; main(['version']); print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert printed[:2] == ["portos-bridge", __version__]
    assert not {"pydantic", "asyncio", "aiohttp", "bridge.settings"} & set(printed)


class Livez(http.server.BaseHTTPRequestHandler):
    """Answers /livez with the status that its server was given, after its delay."""

    def do_GET(self) -> None:
        time.sleep(self.server.delay)  # type: ignore[attr-defined]
        self.send_response(self.server.status if self.path == "/livez" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay quiet."""


@pytest.fixture
def livez() -> Iterator[http.server.HTTPServer]:
    """A server on a free port that is alive."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Livez)
    server.status, server.delay = 200, 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("answer", "status"), [(200, 0), (503, 1), (404, 1)])
def test_healthcheck_passes_the_answer_on(
    answer: int, status: int, livez: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only 200 is healthy."""
    livez.status = answer  # type: ignore[attr-defined]
    monkeypatch.setenv("PORTOS_BRIDGE_ADMIN__PORT", str(livez.server_port))

    assert __main__.main(["healthcheck"]) == status


@pytest.mark.parametrize("given", ["", "1"], ids=["not set", "set"])
def test_healthcheck_finds_the_port_where_the_bridge_does(
    given: str, livez: http.server.HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the settings directory, unless the variable is set."""
    monkeypatch.setenv("PORTOS_BRIDGE_SETTINGS_DIR", str(tmp_path))
    monkeypatch.setenv("PORTOS_BRIDGE_ADMIN__PORT", given and str(livez.server_port))
    (tmp_path / "portos_bridge_admin__port").write_text(str(free_port()) if given else f"{livez.server_port}\n")

    assert __main__.main(["healthcheck"]) == 0


@pytest.mark.parametrize("port", ["closed", "0", "http", "-1", "65536", "\u0661"])
def test_healthcheck_fails_where_nobody_answers(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bridge, or a port that cannot be one, is unhealthy and no traceback."""
    monkeypatch.setenv("PORTOS_BRIDGE_ADMIN__PORT", str(free_port()) if port == "closed" else port)

    assert __main__.main(["healthcheck"]) == 1


def test_healthcheck_does_not_wait_for_a_bridge_that_hangs(
    livez: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hung bridge is unhealthy, within the deadline of whoever asks."""
    livez.delay = 3  # type: ignore[attr-defined]
    monkeypatch.setenv("PORTOS_BRIDGE_ADMIN__PORT", str(livez.server_port))
    started = time.monotonic()

    status = __main__.main(["healthcheck"])

    assert status == 1
    assert time.monotonic() - started < 2.9


def _raising(error: Exception) -> object:
    def command() -> int:
        raise error

    return command
