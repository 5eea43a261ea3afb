"""Secrets and certificates that change: read for each connection, and a new connection between two batches."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge import log, renewal
from bridge.errors import Unavailable
from bridge.link import Link
from bridge.message import Message
from bridge.ports import Outcome, Sink
from bridge.renewal import Renewal
from bridge.settings import SinkConfig, TlsFiles
from tests.brokers.certificates import Authority
from tests.unit.journal.conftest import messages
from tests.unit.loops import link

PREFIX = "PORTOS_BRIDGE_SINK__EXAMPLE__"


class Config(TlsFiles, SinkConfig):
    """A sink with a password and certificates."""

    password: SecretStr | None = None


class Place:
    """A sink that remembers with which settings it was connected, and what it was given."""

    def __init__(self) -> None:
        self.passwords: list[str] = []
        self.delivered: list[Message] = []

    @asynccontextmanager
    async def connect(self, config: SinkConfig) -> AsyncIterator[Sink]:
        assert isinstance(config, Config)
        self.passwords.append(config.password.get_secret_value() if config.password else "")
        yield self

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.delivered += batch
        return [None] * len(batch)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "_LOOK_SECONDS", 0.0)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("first-4711\n")
    return file


def write(file: Path, content: str | bytes | None) -> None:
    """Replace a file, or take it away."""
    file.unlink()
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def renewed(password: Path, state: Link | None = None, **values: object) -> Renewal:
    config = Config.model_validate({"password": "first-4711"} | values)
    files = {f"{PREFIX}PASSWORD": password, "PORTOS_BRIDGE_AUTH__PASSWORD": Path("/none")}
    return Renewal("example", config, files, state or link())


async def deliver(sink: Sink, batches: int = 5) -> None:
    for number in range(batches):
        await sink.deliver(messages(number + 1, 1))


async def ended(sink: Sink) -> str:
    """Deliver until the connection is to be renewed, and say why."""
    with pytest.raises(Unavailable) as caught:
        await deliver(sink)
    assert (caught.value.reason, caught.value.at_once, caught.value.hold) == ("planned", True, False)
    return str(caught.value)


async def test_each_connection_has_what_the_files_hold(password: Path) -> None:
    """A rotated password is that of the next connection."""
    place, files = Place(), renewed(password)

    for secret in ("first-4711", "second-4712"):
        write(password, secret)
        async with files.connect(place.connect):
            pass

    assert place.passwords == ["first-4711", "second-4712"]


async def test_a_changed_secret_ends_the_connection_between_two_batches(password: Path) -> None:
    """The variable is named, and what is not handed over is none of the sink's."""
    place, files = Place(), renewed(password)

    async with files.connect(place.connect) as sink:
        assert await sink.deliver(messages(1, 3)) == [None] * 3
        write(password, "second-4712")
        said = await ended(sink)

    assert said == f"{PREFIX}PASSWORD changed: a new connection"
    assert len(place.delivered) == 4, "the change is looked at twice"


async def test_files_that_do_not_change_end_nothing(password: Path) -> None:
    """Nor does one that is written again with the same content."""
    place, files = Place(), renewed(password)

    async with files.connect(place.connect) as sink:
        for number in range(5):
            write(password, "first-4711\n")
            await sink.deliver(messages(number + 1, 1))

    assert len(place.delivered) == 5


async def test_a_changed_certificate_ends_the_connection_once_its_key_is_there(
    tmp_path: Path, password: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the two files the connection goes on, which is said once."""
    authority = Authority(tmp_path / "tls")
    cert, key = authority.client("bridge")
    new_cert, new_key = authority.client("renewed")
    place, files = Place(), renewed(password, ca_file=authority.ca_file, client_cert_file=cert, client_key_file=key)

    async with files.connect(place.connect) as sink:
        cert.write_bytes(new_cert.read_bytes())
        await deliver(sink)
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        key.write_bytes(new_key.read_bytes())
        said = await ended(sink)

    assert len(told) == 1
    assert f"{PREFIX}CLIENT_KEY_FILE is not the key of the certificate" in told[0]
    assert said == f"{PREFIX}CLIENT_CERT_FILE, {PREFIX}CLIENT_KEY_FILE changed: a new connection"


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
async def test_a_secret_that_is_gone_disturbs_no_connection(
    password: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    """A new one is held, with the variable, until it is there again."""
    place, files = Place(), renewed(password)

    async with files.connect(place.connect) as sink:
        write(password, content)
        await deliver(sink)
    with pytest.raises(Unavailable, match=f"{PREFIX}PASSWORD: its file") as caught:
        async with files.connect(place.connect):
            pytest.fail("connected")

    assert caught.value.hold
    assert len([record for record in caplog.records if "goes on with what it had" in record.getMessage()]) == 1
    assert len(place.delivered) == 5


async def test_a_file_that_is_as_it_was_again_is_told(password: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, after it was of no use; the connection goes on."""
    caplog.set_level(logging.INFO)
    place, files = Place(), renewed(password)

    async with files.connect(place.connect) as sink:
        write(password, b"\xff")
        await deliver(sink)
        write(password, "first-4711\n")
        await deliver(sink)

    told = [record.getMessage() for record in caplog.records if "as it was again" in record.getMessage()]
    assert [line.split(":")[1] for line in told] == [f" {PREFIX}PASSWORD as it was again"]


@pytest.mark.parametrize("content", ["first-4711\n", "second-4712\n"])
async def test_a_change_of_no_use_shows_in_the_status_until_it_is_mended(password: Path, content: str) -> None:
    """Whether the file is as it was again, or holds what a new connection takes up."""
    state = link()
    place, files = Place(), renewed(password, state)

    async with files.connect(place.connect) as sink:
        write(password, b"\xff")
        await deliver(sink)
        said = state.setback
        write(password, content)
        with suppress(Unavailable):
            await deliver(sink)
    async with files.connect(place.connect):
        pass

    assert said.startswith(f"{PREFIX}PASSWORD changed, and a new connection would come to nothing: {PREFIX}PASSWORD: ")
    assert state.setback == ""


async def looked_at(files: Renewal) -> str:
    """Ask what has changed as often as it takes."""
    return next(filter(None, [await files.changed() for _ in range(5)]), "")


async def test_a_file_that_is_corrected_is_a_reason_to_try_at_once(password: Path) -> None:
    """Whatever became of the last attempt; what was tried already is none."""
    place, files = Place(), renewed(password)

    for content in (b"first-4711", b"\xff", b"second-4712"):
        write(password, content)
        with suppress(Unavailable):
            async with files.connect(place.connect):
                pass
        assert await looked_at(files) == ""
        write(password, b"third-4713")
        assert await looked_at(files) == f"{PREFIX}PASSWORD"

    assert place.passwords == ["first-4711", "second-4712"]


async def test_a_file_that_is_being_written_is_no_reason_yet(password: Path) -> None:
    """What is found is to stand until the next look."""
    place, files = Place(), renewed(password)
    async with files.connect(place.connect):
        pass

    for content in ("s", "sec", "second"):
        write(password, content)
        assert await files.changed() == ""

    assert await files.changed() == f"{PREFIX}PASSWORD"


async def test_a_rotated_secret_is_kept_out_of_the_log(password: Path) -> None:
    """So is the one before it, which may still be in an error."""
    place, files = Place(), renewed(password)

    for secret in ("first-4711", "second-4712"):
        write(password, secret)
        async with files.connect(place.connect):
            pass

    assert log.redacted("first-4711 second-4712") == "********** **********"


async def test_a_sink_without_files_is_left_alone() -> None:
    """Nothing is looked at, and the connection is the sink's own."""
    place = Place()

    async with Renewal("example", Config(), {}, link()).connect(place.connect) as sink:
        assert sink is place

    assert await looked_at(Renewal("example", Config(), {}, link())) == ""
