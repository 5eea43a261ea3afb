"""Where values come from, and what is made of them."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, ValidationError

from bridge.errors import ConfigError, Rejected
from bridge.message import Message
from bridge.ports import Explanation, SinkPlugin
from bridge.settings import Settings
from bridge.settings.core import largest_journal
from bridge.settings.loading import Configuration, load, load_admin_token
from tests.mount import Mount
from tests.unit.settings.example import ExampleConfig, plugin

TOKEN = "PORTOS_BRIDGE_SINK__EXAMPLE__TOKEN"


def loaded(environ: Mapping[str, str]) -> Configuration:
    return load(environ, {"example": lambda: plugin})


def example(environ: Mapping[str, str]) -> ExampleConfig:
    _, config = loaded(environ).sinks["example"]
    assert isinstance(config, ExampleConfig)
    return config


def problems(environ: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        loaded(environ)
    return error.value.problems


def test_the_least_is_enough(good: dict[str, str]) -> None:
    """A good configuration loads without a warning, with its lists split."""
    configuration = loaded(good)

    assert configuration.settings.subscribe.resources == ("tickets", "orders")
    assert configuration.warnings == ()


def test_a_sink_is_of_the_bridges_site(good: dict[str, str]) -> None:
    """SITE reaches every sink without being one of its variables."""
    assert example(good | {"PORTOS_BRIDGE_SITE": "shop-7"}).site == "shop-7"


def test_a_sinks_sections_are_nested(good: dict[str, str]) -> None:
    """A sink may have sections of its own, secrets in them included."""
    more = {"PORTOS_BRIDGE_SINK__EXAMPLE__POOL__SIZE": "3", "PORTOS_BRIDGE_SINK__EXAMPLE__POOL__PASSWORD": "opens"}

    pool = example(good | more).pool

    assert (pool.size, pool.password and pool.password.get_secret_value()) == (3, "opens")


@pytest.mark.parametrize("content", ["plain", " spaced ", "two\n\n", '{"a": 1}', "12345", "null", "a,b", "ž€"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_secret_file_loses_one_newline_and_nothing_else(
    content: str, newline: str, good: dict[str, str], tmp_path: Path
) -> None:
    """Only the newline at the very end is no part of a secret, whichever editor wrote it."""
    file = tmp_path / "token"
    file.write_text(f"{content}{newline}", encoding="utf-8", newline="")

    token = example(good | {f"{TOKEN}_FILE": str(file)}).token

    assert token is not None
    assert token.get_secret_value() == content


def test_the_secrets_directory_is_read_as_kubernetes_mounts_it(good: dict[str, str]) -> None:
    """Entries are links into `..data`, which is itself a link to a dated folder; those two are no secrets."""
    folder = Path(good["PORTOS_BRIDGE_SECRETS_DIR"])
    (folder / "..2026_11_25").mkdir()
    (folder / "..2026_11_25" / TOKEN.lower()).write_text("mounted")
    (folder / "..data").symlink_to("..2026_11_25")
    (folder / TOKEN.lower()).symlink_to(f"..data/{TOKEN.lower()}")

    token = example(good).token

    assert token is not None
    assert token.get_secret_value() == "mounted"


def test_what_is_no_secret_may_be_a_file_of_the_settings_directory(good: dict[str, str]) -> None:
    """Which sinks there are and where secrets are as well; one newline at the end is no part of a value."""
    settings, names = Path(good["PORTOS_BRIDGE_SETTINGS_DIR"]), ("SINKS", "SECRETS_DIR", "SUBSCRIBE__RESOURCES")
    for name in (f"PORTOS_BRIDGE_{name}" for name in names):
        (settings / name.lower()).write_text(f"{good.pop(name)}\n")
    (settings / "portos_bridge_sink__example__pool__size").write_text("5")
    (settings / "portos_bridge_filter__exclude_ids").write_text("\n")
    (settings.parent / "secrets" / TOKEN.lower()).write_text("opens")

    configuration = loaded(good)

    config = example(good)
    assert (config.pool.size, config.token and config.token.get_secret_value()) == (5, "opens")
    assert configuration.settings.subscribe.resources == ("tickets", "orders")
    assert configuration.settings.filter.exclude_ids == ()


def test_the_settings_directory_is_read_as_kubernetes_mounts_it(good: dict[str, str]) -> None:
    """Entries are links into `..data`, which is itself a link to a dated folder; those two are no settings."""
    Mount(Path(good["PORTOS_BRIDGE_SETTINGS_DIR"])).swap({"portos_bridge_log__level": "debug"})

    configuration = loaded(good)

    assert configuration.settings.log.level == "debug"
    assert configuration.folder.values == {"portos_bridge_log__level": "debug"}


@pytest.mark.parametrize(
    ("file", "answer"),
    [
        ("portos_bridge_log__levl", "there is no such setting; did you mean portos_bridge_log__level?"),
        ("log__level", "there is no such setting; did you mean portos_bridge_log__level?"),
        ("PORTOS_BRIDGE_LOG__LEVEL", "there is no such setting; did you mean portos_bridge_log__level?"),
        (TOKEN.lower(), "is a secret; its file belongs into the secrets directory, PORTOS_BRIDGE_SECRETS_DIR"),
        ("portos_bridge_settings_dir", "cannot say where it stands itself; set it as a variable"),
    ],
)
def test_what_cannot_stand_in_the_settings_directory_is_answered(file: str, answer: str, good: dict[str, str]) -> None:
    (Path(good["PORTOS_BRIDGE_SETTINGS_DIR"]) / file).write_text("canary-77d")

    assert problems(good) == (f"{file} in PORTOS_BRIDGE_SETTINGS_DIR: {answer}",)


def test_both_directories_may_be_absent(good: dict[str, str], tmp_path: Path) -> None:
    """No directory is no secrets, and no settings."""
    none = {f"PORTOS_BRIDGE_{name}_DIR": str(tmp_path / "none") for name in ("SECRETS", "SETTINGS")}

    assert loaded(good | none).warnings == ()


def test_an_unreadable_secret_is_told_with_the_systems_reason(good: dict[str, str], tmp_path: Path) -> None:
    """What the system says about a file is passed on, its path is not; a loop of links fails for root too."""
    (tmp_path / "token").symlink_to("token")

    assert problems(good | {f"{TOKEN}_FILE": str(tmp_path / "token")}) == (
        f"{TOKEN}_FILE: the file for {TOKEN} cannot be read: Too many levels of symbolic links",
    )


def test_a_pipe_is_not_waited_for(good: dict[str, str], tmp_path: Path) -> None:
    """A secret file that nobody writes to must not hold the start up."""
    os.mkfifo(tmp_path / "pipe")

    assert problems(good | {f"{TOKEN}_FILE": str(tmp_path / "pipe")}) == (
        f"{TOKEN}_FILE: the file for {TOKEN} is no regular file",
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HUBB__URL", "HUB__URL"),
        ("hub__url", "HUB__URL"),
        ("HUB_URL", "HUB__URL"),
        ("AUTH__PASWORD", "AUTH__PASSWORD"),
        ("AUTH__PASWORD_FILE", "AUTH__PASSWORD_FILE"),
        ("SINK__EXAMPLE__TOKN", "SINK__EXAMPLE__TOKEN"),
        ("JOURNAL__MAX_BYTE", "JOURNAL__MAX_BYTES"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(written: str, meant: str, good: dict[str, str]) -> None:
    """Whoever misspells a variable is told which one was meant."""
    name = f"PORTOS_BRIDGE_{written}".replace("PORTOS_BRIDGE_hub__url", "portos_bridge_hub__url")

    assert problems(good | {name: "x"}) == (f"{name}: there is no such variable; did you mean PORTOS_BRIDGE_{meant}?",)


def test_a_misspelt_sink_is_answered_with_the_nearest(good: dict[str, str]) -> None:
    """A sink is named by its place in the list, and the value itself is not repeated."""
    assert problems(good | {"PORTOS_BRIDGE_SINKS": "example,exampel"}) == (
        "PORTOS_BRIDGE_SINKS: item 2 is no installed sink; did you mean example? (installed: example)",
    )


def test_sinks_with_spaces_between_them_are_answered_with_commas(good: dict[str, str]) -> None:
    assert problems(good | {"PORTOS_BRIDGE_SINKS": "example other"}) == (
        "PORTOS_BRIDGE_SINKS: item 1 is no installed sink; write commas between sinks (installed: example)",
    )


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_8080_TCP",
        "PORT_8080_TCP_ADDR",
        "PORT_53_UDP_PORT",
    ],
)
def test_what_kubernetes_injects_is_left_alone(name: str, good: dict[str, str]) -> None:
    """A Service called portos-bridge puts variables into every pod beside it."""
    assert loaded(good | {f"PORTOS_BRIDGE_{name}": "tcp://10.0.0.1:8080"}).warnings == ()


def test_a_sink_can_be_switched_off(good: dict[str, str]) -> None:
    """What is set for an installed sink that SINKS does not name is a warning, and its code is not imported."""
    name = "PORTOS_BRIDGE_SINK__OTHER__ANYTHING"
    (Path(good["PORTOS_BRIDGE_SECRETS_DIR"]) / "portos_bridge_sink__other__password").write_text("x")
    (Path(good["PORTOS_BRIDGE_SETTINGS_DIR"]) / "portos_bridge_sink__other__url").write_text("x")

    configuration = load(good | {name: "x"}, {"example": lambda: plugin, "other": _never})

    assert [warning.partition(":")[0] for warning in configuration.warnings] == [
        name,
        "portos_bridge_sink__other__url in PORTOS_BRIDGE_SETTINGS_DIR",
        "portos_bridge_sink__other__password in PORTOS_BRIDGE_SECRETS_DIR",
    ]


def test_a_broken_sink_does_not_hide_other_problems(good: dict[str, str]) -> None:
    """A plugin that cannot be imported is one problem among all."""
    with pytest.raises(ConfigError) as error:
        load(good | {"PORTOS_BRIDGE_HUB__URL": "", "PORTOS_BRIDGE_SINKS": "example,broken"}, _with_a_broken_one())

    assert [problem.partition(":")[0] for problem in error.value.problems] == [
        "PORTOS_BRIDGE_SINKS",
        "PORTOS_BRIDGE_HUB__URL",
    ]


def test_a_sinks_own_message_loses_the_secret(good: dict[str, str]) -> None:
    """A validator that repeats a secret cannot make it appear."""
    text = "\n".join(problems(good | {TOKEN: "bad-canary"}))

    assert "bad-canary" not in text
    assert "PORTOS_BRIDGE_SINK__EXAMPLE: the token ********** is bad" in text


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("EVENT__CONTENT", "resources", "'notification', 'resource' or 'reference'"),
        ("VERSION__MODE", "offf", "'monotonic', 'contiguous' or 'off'"),
        ("LOG__LEVEL", "infos", "'debug', 'info', 'warning' or 'error'"),
        ("LOG__LEVEL", "debug info warning error", "'debug', 'info', 'warning' or 'error'"),
        ("SINK__EXAMPLE__WINDOW_EVENTS", "1GB", "a whole number, without a unit"),
        ("HUB__SILENCE_SECONDS", "30s", "a number, without a unit"),
        ("JOURNAL__MAX_BYTES", "1000", "greater than or equal to 4194304"),
        ("SITE", "Shop 7", "of small letters, digits and hyphens, 41 at most, and begin with no hyphen"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed(
    variable: str, value: str, allowed: str, good: dict[str, str]
) -> None:
    """What is allowed is shown in full, though the value holds one of the words, and the value is not."""
    assert problems(good | {f"PORTOS_BRIDGE_{variable}": value}) == (f"PORTOS_BRIDGE_{variable}: should be {allowed}",)


def test_a_level_may_be_written_in_letters_of_any_case(good: dict[str, str]) -> None:
    assert loaded(good | {"PORTOS_BRIDGE_LOG__LEVEL": "WARNING"}).settings.log.level == "warning"


@pytest.mark.parametrize(("written", "place"), [("tickets,,orders", 2), (",tickets", 1), ("tickets, orders,", 3)])
def test_an_item_of_a_list_that_is_empty_is_refused(written: str, place: int, good: dict[str, str]) -> None:
    """Something is missing there, and nobody knows what."""
    assert problems(good | {"PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": written}) == (
        f"PORTOS_BRIDGE_SUBSCRIBE__RESOURCES: item {place} is empty",
    )


def test_a_token_of_the_admin_port_that_can_be_guessed_is_refused(good: dict[str, str]) -> None:
    name = "PORTOS_BRIDGE_ADMIN__TOKEN"

    assert problems(good | {name: 15 * "k"}) == (
        f"{name}: should have at least 16 characters, such as `openssl rand -hex 32` gives",
    )
    assert loaded(good | {name: 16 * "k"}).settings.admin.token is not None


def test_a_journal_that_is_larger_than_its_volume_allows_is_warned_of(good: dict[str, str]) -> None:
    (warning,) = loaded(good | {"PORTOS_BRIDGE_JOURNAL__MAX_BYTES": "9000000000000000"}).warnings

    assert warning.startswith("PORTOS_BRIDGE_JOURNAL__MAX_BYTES: is more than its volume has room for, and counts as ")


@pytest.mark.parametrize(("mebibytes", "largest"), [(1000, 800), (40, 32), (39, 31), (12, 4), (4, 0)])
def test_a_volume_holds_the_journal_and_its_log(mebibytes: int, largest: int) -> None:
    assert largest_journal(mebibytes << 20) == largest << 20


def test_a_volume_that_is_too_small_for_any_journal_is_refused(
    good: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10 << 20))

    (problem,) = problems(good)

    assert problem.startswith("PORTOS_BRIDGE_JOURNAL__PATH: its volume has 10485760 bytes, too few for a journal")


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://127.0.0.1:3000", False),
        ("http://localhost:3000", False),
        ("http://[::1]:3000", False),
        ("https://portos.example", False),
        ("http://192.168.1.10:3000", True),
        ("http://portos:3000", True),
    ],
)
def test_plaintext_to_another_host_is_a_warning(url: str, warned: bool, good: dict[str, str]) -> None:  # noqa: FBT001
    """A Portos server in the shop's network speaks http; the operator is told once, and no more."""
    warnings = loaded(good | {"PORTOS_BRIDGE_HUB__URL": url}).warnings

    assert [warning.partition(":")[0] for warning in warnings] == ["PORTOS_BRIDGE_HUB__URL"] * warned


@pytest.mark.parametrize(
    ("proxy", "warned"), [("proxy:3128", False), ("b:secret@127.0.0.1:3128", False), ("b:secret@proxy:3128", True)]
)
def test_a_password_in_plaintext_to_a_proxy_elsewhere_is_a_warning(
    proxy: str,
    warned: bool,  # noqa: FBT001
    good: dict[str, str],
) -> None:
    """It is not repeated in it."""
    given = good | {"PORTOS_BRIDGE_HUB__URL": "https://hub", "PORTOS_BRIDGE_HUB__PROXY_URL": f"http://{proxy}"}
    warnings = loaded(given).warnings

    assert [warning.partition(":")[0] for warning in warnings] == ["PORTOS_BRIDGE_HUB__PROXY_URL"] * warned
    assert "secret" not in str(warnings)


def test_what_carries_secrets_can_be_acknowledged_in_any_letters(good: dict[str, str]) -> None:
    """Whoever names it a second time gets it, and of everything what is neither named nor left out is refused."""
    named = {"SUBSCRIBE__RESOURCES": "ApiKeys", "PRIVACY__ACKNOWLEDGE_RESOURCES": "apikeys"}
    everything = {
        "SUBSCRIBE__RESOURCES": "*",
        "PRIVACY__ACKNOWLEDGE_RESOURCES": "Settings",
        "FILTER__EXCLUDE_RESOURCES": "apikeys,sessions",
    }

    first, second = (
        loaded(good | {f"PORTOS_BRIDGE_{name}": value for name, value in change.items()})
        for change in (named, everything)
    )

    assert first.warnings == ()
    assert [warning.partition(":")[0] for warning in second.warnings] == ["PORTOS_BRIDGE_SUBSCRIBE__RESOURCES"]


def test_recycling_without_a_second_connection_is_a_warning(good: dict[str, str]) -> None:
    """It is allowed, but each time costs what recycling is known not to cost."""
    alone = {"PORTOS_BRIDGE_AUTH__MAKE_BEFORE_BREAK": "false"}
    recycling = {"PORTOS_BRIDGE_HUB__RECYCLE_SECONDS": "3600"}

    assert loaded(good | alone).warnings == loaded(good | recycling).warnings == ()
    (warning,) = loaded(good | alone | recycling).warnings
    assert warning.startswith("PORTOS_BRIDGE_HUB__RECYCLE_SECONDS: each time is a blind window")


def test_a_place_in_a_list_is_answered_with_how_lists_are_walked(good: dict[str, str]) -> None:
    """Whoever writes a path as other programs have it learns how it is written here."""
    more = {"PORTOS_BRIDGE_EVENT__CONTENT": "resource", "PORTOS_BRIDGE_PRIVACY__REDACT": "tickets.a,tickets.b[0].c"}

    (problem,) = problems(good | more)

    assert problem.startswith("PORTOS_BRIDGE_PRIVACY__REDACT: item 2 holds `[`, `]` or `*`; name a list alone")


@pytest.mark.parametrize("variable", ["FILTER__EXCLUDE_RESOURCES", "PRIVACY__ACKNOWLEDGE_RESOURCES"])
def test_naming_what_is_not_subscribed_is_a_warning(variable: str, good: dict[str, str]) -> None:
    """It changes nothing, so that it is either misspelt or forgotten."""
    (warning,) = loaded(good | {f"PORTOS_BRIDGE_{variable}": "Orders,sesions"}).warnings

    assert warning == f"PORTOS_BRIDGE_{variable}: item 2 has no effect, since SUBSCRIBE__RESOURCES does not name it"


def test_where_everything_is_subscribed_any_resource_can_be_left_out(good: dict[str, str]) -> None:
    """No name is unknown then, so that none is warned of."""
    everything = {"PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "*", "PORTOS_BRIDGE_PRIVACY__ACKNOWLEDGE_RESOURCES": "apikeys"}
    left_out = {"PORTOS_BRIDGE_FILTER__EXCLUDE_RESOURCES": "settings,sessions,stocks"}

    (warning,) = loaded(good | everything | left_out).warnings
    assert warning.startswith("PORTOS_BRIDGE_SUBSCRIBE__RESOURCES: ")


def test_an_id_that_is_redacted_and_still_is_the_key_is_a_warning(good: dict[str, str]) -> None:
    """Rules reach the resource, not what identifies it."""
    more = {"PORTOS_BRIDGE_EVENT__CONTENT": "resource", "PORTOS_BRIDGE_PRIVACY__REDACT": "tickets.name,tickets.ID"}

    warnings = loaded(good | more).warnings

    assert [warning.split(": ")[:2] for warning in warnings] == [["PORTOS_BRIDGE_PRIVACY__REDACT", "item 2"]]


def test_all_secrets_are_known_to_the_redaction(good: dict[str, str]) -> None:
    """The log is given every secret, those in sections of a sink included."""
    more = {TOKEN: "one", "PORTOS_BRIDGE_SINK__EXAMPLE__POOL__PASSWORD": "two"}

    assert loaded(good | more).secrets() == {"correct horse", "one", "two"}


def test_a_configuration_shows_no_secret(good: dict[str, str]) -> None:
    """Neither its text nor its dump has one."""
    configuration = loaded(good | {TOKEN: "canary-5f1"})

    shown = repr(configuration) + configuration.settings.model_dump_json() + str(configuration.sinks)

    assert "canary-5f1" not in shown
    assert "correct horse" not in shown


def _never() -> SinkPlugin[ExampleConfig]:
    pytest.fail("a sink that is not fed was imported")


def _broken() -> SinkPlugin[ExampleConfig]:
    raise ConfigError(["PORTOS_BRIDGE_SINKS: the sink broken cannot be used: it is broken"])


def _with_a_broken_one() -> Mapping[str, Callable[[], SinkPlugin[ExampleConfig]]]:
    return {"example": lambda: plugin, "broken": _broken}


@pytest.mark.parametrize("model", [ExampleConfig, Settings])
def test_a_validation_error_that_escapes_shows_no_input(model: type[BaseModel]) -> None:
    """Even a bug that lets pydantic's own error through prints none of what was set."""
    with pytest.raises(ValidationError) as error:
        model.model_validate({"token": "canary-77a", "window_events": "canary-77a", "hub": "canary-77a"})

    assert "canary-77a" not in str(error.value)


ADMIN_TOKEN = "PORTOS_BRIDGE_ADMIN__TOKEN"
OTHERS = {"PORTOS_BRIDGE_HUBB__URL": "x", "PORTOS_BRIDGE_HUB": "{}", "PORTOS_BRIDGE_SINKS": "nothing"}


@pytest.mark.parametrize("way", ["variable", "file", "directory", "none"])
def test_the_token_of_the_admin_port_is_read_alone(way: str, tmp_path: Path) -> None:
    """Whatever else is set, or lies in the secrets directory, is for a bridge to judge."""
    for name in ("token", "portos_bridge_admin__token", "portos_bridge_auth__password"):
        (tmp_path / name).write_text("opens\n")
    if way != "directory":
        (tmp_path / "portos_bridge_admin__token").unlink()
    given = {
        "variable": {ADMIN_TOKEN: "opens"},
        "file": {f"{ADMIN_TOKEN}_FILE": str(tmp_path / "token")},
        "directory": {},
        "none": {},
    }[way]

    token = load_admin_token(OTHERS | {"PORTOS_BRIDGE_SECRETS_DIR": str(tmp_path)} | given)

    assert token == (None if way == "none" else "opens")


def test_where_the_token_of_the_admin_port_is_may_be_a_setting(tmp_path: Path) -> None:
    """Whatever else lies beside it is for a bridge to judge."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "portos_bridge_admin__token").write_text("opens")
    (tmp_path / "portos_bridge_secrets_dir").write_text(str(tmp_path / "secrets"))
    (tmp_path / "portos_bridge_hubb__url").write_text("x")

    assert load_admin_token({"PORTOS_BRIDGE_SETTINGS_DIR": str(tmp_path)}) == "opens"


def test_a_token_of_the_admin_port_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_admin_token(OTHERS | {f"{ADMIN_TOKEN}_FILE": str(tmp_path / "token")})

    assert error.value.problems == (
        f"{ADMIN_TOKEN}_FILE: the file for {ADMIN_TOKEN} cannot be read: No such file or directory",
    )


@pytest.mark.parametrize(("given", "sheds"), [({}, True), ({"PORTOS_BRIDGE_EVENT__OVERSIZE": "dead_letter"}, False)])
def test_what_becomes_of_what_is_too_large_is_said_once_for_all_sinks(
    good: dict[str, str],
    given: dict[str, str],
    sheds: bool,  # noqa: FBT001
) -> None:
    """It goes out as a reference unless it is to be kept whole; no sink has a variable of its own for it."""
    assert example(good | given).sheds == sheds
    with pytest.raises(ConfigError, match="SINK__EXAMPLE__OVERSIZE"):
        loaded(good | {"PORTOS_BRIDGE_SINK__EXAMPLE__OVERSIZE": "reference"})


def test_a_subscribed_resource_that_a_sink_has_no_topic_for_is_refused(good: dict[str, str]) -> None:
    """Whatever its templates are, since the sink itself is asked; otherwise all its events were dead letters."""
    reasons = {"orders": "reserved_topic", "stocks": "topic_not_allowed", "tickets": "too_large"}

    def explain(_: ExampleConfig, message: Message) -> Explanation:
        if message.resource in reasons:
            raise Rejected("no", reason=reasons[message.resource])
        return Explanation("topic", message.body)

    explaining = replace(plugin, explain=explain)
    with pytest.raises(ConfigError) as refusal:
        load(good | {"PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "tickets,orders,stocks"}, {"example": lambda: explaining})

    assert refusal.value.problems == tuple(
        f"PORTOS_BRIDGE_SUBSCRIBE__RESOURCES: item {item} leads sink example to a topic that is {why}"
        for item, why in (
            (2, "kept for the bridge; change its templates"),
            (3, "not among those allowed; see its TOPIC_ALLOW"),
        )
    )


def test_of_every_resource_none_is_asked_for(good: dict[str, str]) -> None:
    """What `*` stands for is known when it comes."""
    everything = {"SUBSCRIBE__RESOURCES": "*", "PRIVACY__ACKNOWLEDGE_RESOURCES": "apikeys,settings,sessions"}

    def explain(_: ExampleConfig, message: Message) -> Explanation:
        raise AssertionError(message.resource)

    explaining = replace(plugin, explain=explain)

    load(good | {f"PORTOS_BRIDGE_{name}": value for name, value in everything.items()}, {"example": lambda: explaining})
