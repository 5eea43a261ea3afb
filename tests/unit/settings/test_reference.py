"""What the walk over the models finds."""

import pytest
from pydantic import BaseModel, SecretStr

from bridge.settings import Settings
from bridge.settings.reference import Variable, as_environment, as_markdown, by_section, sink_prefix, variables
from tests.unit.settings.example import ExampleConfig

CORE = list(variables(Settings))
SINK = list(variables(ExampleConfig, sink_prefix("example")))


def test_every_variable_is_described() -> None:
    """The description is the manual: none may be without."""
    assert [variable.name for variable in [*CORE, *SINK] if not variable.description] == []


def test_exactly_these_must_be_set() -> None:
    """Everything else has a default that works."""
    assert {variable.name for variable in [*CORE, *SINK] if variable.required} == {
        "PORTOS_BRIDGE_SINKS",
        "PORTOS_BRIDGE_HUB__URL",
        "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES",
        "PORTOS_BRIDGE_SINK__EXAMPLE__URL",
    }


def test_a_secret_is_recognised_behind_its_option() -> None:
    """`SecretStr | None` is a secret like any other."""
    assert {variable.name for variable in [*CORE, *SINK] if variable.secret} == {
        "PORTOS_BRIDGE_ADMIN__TOKEN",
        "PORTOS_BRIDGE_AUTH__PASSWORD",
        "PORTOS_BRIDGE_AUTH__TOKEN",
        "PORTOS_BRIDGE_HUB__CLIENT_KEY_PASSWORD",
        "PORTOS_BRIDGE_HUB__PROXY_URL",
        "PORTOS_BRIDGE_PRIVACY__HMAC_KEY",
        "PORTOS_BRIDGE_SINK__EXAMPLE__TOKEN",
        "PORTOS_BRIDGE_SINK__EXAMPLE__POOL__PASSWORD",
    }


def test_exactly_these_can_be_changed_while_the_bridge_runs() -> None:
    """What only says which lines are logged and which events are left out; none of them is a secret."""
    hot = [variable for variable in [*CORE, *SINK] if variable.hot]

    assert {variable.name for variable in hot} == {
        "PORTOS_BRIDGE_LOG__LEVEL",
        "PORTOS_BRIDGE_FILTER__EXCLUDE_RESOURCES",
        "PORTOS_BRIDGE_FILTER__EXCLUDE_IDS",
        "PORTOS_BRIDGE_FILTER__EXCLUDE_SENDERS",
    }
    sections = [("Hot", hot)]
    assert (
        as_environment(sections).count("while the bridge runs") == len(hot) == as_markdown(sections).count("runs, as")
    )
    assert not [variable for variable in hot if variable.secret]


def test_no_secret_stands_beside_a_path_of_the_same_name() -> None:
    """With a secret `X` and a path `X_FILE`, `X_FILE` would mean two things."""
    names = {variable.name for variable in CORE}

    assert [variable.name for variable in CORE if variable.secret and f"{variable.name}_FILE" in names] == []


def test_no_section_is_called_as_kubernetes_calls_its_own() -> None:
    """What begins with SERVICE or PORT is ignored by pattern, so it cannot be ours."""
    assert {variable.path[0] for variable in CORE} & {"service", "port"} == set()


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("HUB__KEEPALIVE_SECONDS", "number", "15"),
        ("DELIVERY__CURSOR_EVERY_SECONDS", "number", "0.1"),
        ("JOURNAL__MAX_BYTES", "whole number", "1073741824"),
        ("JOURNAL__PATH", "path", "/var/lib/portos-bridge/journal.db"),
        ("SUBSCRIBE__LICENCE", "`true`, `false`", "true"),
        ("SUBSCRIBE__ACTIONS", "list", "created,updated,deleted"),
        ("LOG__FORMAT", "`auto`, `json`, `console`", "auto"),
        ("AUTH__PASSWORD", "secret", ""),
        ("HUB__CA_FILE", "path", ""),
    ],
)
def test_values_are_written_as_an_operator_would(name: str, kind: str, default: str) -> None:
    """The default in the reference can be pasted into an environment file."""
    variable = next(variable for variable in CORE if variable.name == f"PORTOS_BRIDGE_{name}")

    assert (variable.kind, variable.default) == (kind, default)


def test_a_sink_may_have_a_dash_in_its_name() -> None:
    """No variable can have one, so it becomes an underscore."""
    assert sink_prefix("my-sink") == "PORTOS_BRIDGE_SINK__MY_SINK__"


def test_the_top_stands_first_and_each_section_once() -> None:
    """The core's sections come as the models have them."""
    titles = [title for title, _ in by_section(CORE)]

    assert titles[:3] == ["Bridge", "Hub", "Auth"]
    assert len(titles) == len(set(titles))


def test_a_default_secret_is_never_written() -> None:
    """Neither the environment file nor the tables hold one, whatever a model says."""

    class Careless(BaseModel):
        token: SecretStr = SecretStr("canary-91c")

    sections = [("Careless", list(variables(Careless)))]

    assert "canary-91c" not in as_environment(sections) + as_markdown(sections)


def test_a_table_row_holds_together() -> None:
    """A bar in a description does not end the cell."""
    row = as_markdown([("T", [Variable("N", ("n",), "text", "", False, False, "a|b")])]).splitlines()[-1]

    assert row == "| `N` | text |  | a\\|b |"
