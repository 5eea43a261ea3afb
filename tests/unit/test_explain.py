"""`portos-bridge explain`: what becomes of a notification, shown without a broker and without what must not leave."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bridge import __main__, registry
from bridge.simulator.notification import licence_activated
from tests.unit.log_state import restored
from tests.unit.settings.wrong import good_environment

pytestmark = pytest.mark.skipif(
    not {"kafka", "mqtt", "stdout"} <= set(registry.installed()), reason="not installed here: run `make install`"
)
KEY = "C4nary-key-of-the-pseudonyms-6a20"
Explain = Callable[..., tuple[int, list[str]]]


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the command set the log up, and put it back as it was."""
    with restored(monkeypatch) as root:
        root.handlers[:] = []
        yield


@pytest.fixture
def explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Run the command over a notification, or its sample, with further settings; gives status and lines."""
    base = good_environment(tmp_path)
    del base["PORTOS_BRIDGE_SINK__EXAMPLE__URL"]
    base |= {
        "PORTOS_BRIDGE_SINKS": "kafka,mqtt,stdout",
        "PORTOS_BRIDGE_SINK__KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
        "PORTOS_BRIDGE_SINK__MQTT__URL": "mqtt://broker",
        "PORTOS_BRIDGE_SINK__MQTT__USERNAME": "bridge",
        "PORTOS_BRIDGE_SINK__MQTT__PASSWORD": "C4nary-mqtt",
        "PORTOS_BRIDGE_AUTH__PASSWORD": "C4nary-portos",
    }

    def run(notification: bytes | None = None, settings: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
        for name, value in (base | {f"PORTOS_BRIDGE_{n}": v for n, v in (settings or {}).items()}).items():
            monkeypatch.setenv(name, value)
        arguments = []
        if notification is not None:
            (tmp_path / "notification.json").write_bytes(notification)
            arguments = [str(tmp_path / "notification.json")]
        status = __main__.main(["explain", *arguments])
        shown = capsys.readouterr()
        assert shown.err == ""
        return status, shown.out.splitlines()

    return run


def notification(value: object, resource: str = "tickets", **further: object) -> bytes:
    payload = {"u": {"u": "12", "d": "P01"}, "n": resource, "a": 2, "i": {"i": "7", "v": 4}, "r": [value]}
    return json.dumps({"e": "portos.resources.changed", "p": payload} | further).encode() + b"\n"


def test_a_sample_is_explained_for_every_sink(explain: Explain) -> None:
    """Nothing but the settings is needed: each sink shows where the event would go and with what beside it."""
    status, lines = explain()

    assert status == 0
    assert lines[0] == "a sample, since no file was named"
    assert [line for line in lines if line.startswith(("sink", "  topic", "  key"))] == [
        "sink kafka",
        "  topic       portos.tickets",
        "  key         67c6c5a1f0b2d4e6a8091b2c",
        "sink mqtt",
        "  topic       portos/resources/tickets",
        "sink stdout",
        "  topic       standard output",
    ]
    assert "  header      ce_resourcename: tickets" in lines
    assert "  header      Content Type: application/json" in lines
    assert sum(line.startswith('  payload     {"e":"portos.resources.changed"') for line in lines) == 2


@pytest.mark.parametrize(("resources", "topic"), [("stock takings", "stock-20takings"), ("*", "tickets")])
def test_the_sample_is_one_of_what_is_subscribed(resources: str, topic: str, explain: Explain) -> None:
    acknowledged = "apikeys,settings,sessions"

    _, lines = explain(settings={"SUBSCRIBE__RESOURCES": resources, "PRIVACY__ACKNOWLEDGE_RESOURCES": acknowledged})

    assert f"  topic       portos.{topic}" in lines


def test_what_is_redacted_is_named_and_not_shown(explain: Explain) -> None:
    """A rule that finds nothing, as one that is misspelt, says so."""
    settings = {
        "EVENT__CONTENT": "resource",
        "PRIVACY__REDACT": "Tickets.email,tickets.emial,orders.email",
        "PRIVACY__PSEUDONYMISE": "tickets.user",
        "PRIVACY__HMAC_KEY": KEY,
    }

    status, lines = explain(notification({"email": "C4nary-email", "user": "C4nary-user", "n": 1}), settings)

    text = "\n".join(lines)
    assert status == 0
    assert "redact        Tickets.email: replaced" in lines
    assert "redact        tickets.emial: nothing there to replace" in lines
    assert "orders" not in text
    assert "pseudonymise  tickets.user: replaced" in lines
    assert '"email":null' in text
    assert "C4nary" not in text


def test_a_number_out_of_any_range_is_explained(explain: Explain) -> None:
    """The bridge publishes it as the hub wrote it, so it must not stop the command."""
    settings = {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.email,tickets.n"}
    huge = notification({"email": "C4nary", "m": 1}).replace(b'"m": 1', b'"m": 1e999, "o": ' + b"9" * 5000)

    status, lines = explain(huge, settings)

    assert status == 0
    assert "redact        tickets.email: replaced" in lines
    assert "redact        tickets.n: nothing there to replace" in lines


def test_what_is_left_out_reaches_no_sink(explain: Explain) -> None:
    status, lines = explain(notification({}), {"FILTER__EXCLUDE_SENDERS": "12"})

    assert status == 0
    assert lines[-1] == "filter        left out, reason sender: no sink gets it"


def test_a_resource_that_is_not_subscribed_is_pointed_out(explain: Explain) -> None:
    _, lines = explain(notification({}, "customers"))

    assert any(line.startswith("subscribed    no: ") for line in lines)


@pytest.mark.parametrize(("content", "kept"), [("notification", 27), ("reference", 0)])
def test_what_cannot_be_read_ends_with_1_and_why(content: str, kept: int, explain: Explain) -> None:
    """It says what is kept of it as a dead letter, and never quotes it."""
    status, lines = explain(b'{"e":"C4nary","p":C4nary}\r\n ', {"EVENT__CONTENT": content})

    assert status == 1
    assert lines[0].startswith("unreadable    json: JSON is malformed: invalid character (byte 18)")
    assert lines[1] == f"kept          as a dead letter of the source, {min(kept, 25)} of its 25 bytes"
    assert "C4nary" not in "\n".join(lines)


def test_what_a_sink_refuses_is_told(explain: Explain) -> None:
    _, lines = explain(notification({}, "licence"))

    refused = next(line for line in lines if line.startswith("  refused"))
    assert lines[lines.index(refused) - 1] == "sink kafka"
    assert refused.startswith("  refused     reserved_topic: ")
    assert "  topic       portos/resources/licence" in lines


def test_a_file_that_is_not_there_ends_with_1(
    explain: Explain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain()

    status = __main__.main(["explain", str(tmp_path / "none")])

    assert (status, capsys.readouterr().err) == (1, f"portos-bridge: {tmp_path}/none: No such file or directory\n")


def test_a_hostile_notification_cannot_speak_to_the_terminal(explain: Explain) -> None:
    """Control characters of names and payloads are escaped, and each line stays one."""
    hostile = (
        b'{"e":"portos.resources.changed",\n"p":{"n":"tickets","i":{"i":"\\u001b[2J\xc2\x9b1m"},"r":["\xc2\x9b"]}}'
    )

    _, lines = explain(hostile)

    assert all(line.isprintable() for line in lines)
    assert any(line.startswith("resource      tickets, id \\x1b[2J\\x9b1m") for line in lines)


def test_a_reader_that_leaves_is_no_failure(explain: Explain) -> None:
    """As in `portos-bridge explain | head -1`."""
    explain()
    command = [sys.executable, "-u", "-m", "bridge", "explain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert (process.wait(30), process.stderr.read()) == (0, b"")


def test_no_secret_of_the_settings_is_shown(explain: Explain) -> None:
    """Not even when a notification holds one."""
    _, lines = explain(notification({"a": "C4nary-mqtt", "b": "C4nary-portos"}))

    assert "C4nary" not in "\n".join(lines)


@pytest.mark.parametrize("about", ["a ticket", "a customer", "a licence"])
def test_every_rule_of_the_privacy_page_finds_its_field(about: str, tmp_path: Path, explain: Explain) -> None:
    """Whoever copies the example has taken out what it seems to take out, and no name is left in the sample."""
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^export PORTOS_BRIDGE_(\w+)='?(.*?)'?$", page, re.MULTILINE))
    settings["PRIVACY__HMAC_KEY_FILE"] = str(tmp_path / "pseudonyms")
    (tmp_path / "pseudonyms").write_text(KEY)
    names = dict.fromkeys(("firstName", "lastName", "fullName", "birthDate", "email", "phone"), "C4nary")
    given = {"a ticket": None, "a customer": notification(names, "customers"), "a licence": licence_activated(0)}

    _, lines = explain(given[about], settings)

    rules = [line for line in lines if line.startswith(("redact", "pseudonymise"))]
    assert rules
    assert [line for line in rules if not line.endswith(": replaced")] == []
    assert re.findall(r"C4nary|Test Customer|customer@|\+421|Test Waiter|no sugar", "\n".join(lines)) == []
    if about == "a ticket":
        assert all(line in page for line in lines if line.startswith(("content", "redact", "pseudonymise")))
