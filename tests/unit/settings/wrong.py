"""A table of wrong configurations: how each spoils a good one, and which variables its problems must name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Wrong:
    """Changes to a good configuration (None takes a variable away), files, and the variables of all problems."""

    change: Mapping[str, str | None]
    named: set[str]
    files: Mapping[str, bytes] = field(default_factory=dict)


def good_environment(tmp: Path) -> dict[str, str]:
    """Give the least that a bridge needs, with the example as its only sink."""
    secrets = tmp / "secrets"
    secrets.mkdir()
    settings = tmp / "settings"
    settings.mkdir()
    return {
        "PORTOS_BRIDGE_SINKS": "example",
        "PORTOS_BRIDGE_SECRETS_DIR": str(secrets),
        "PORTOS_BRIDGE_SETTINGS_DIR": str(settings),
        "PORTOS_BRIDGE_HUB__URL": "http://127.0.0.1:3000",
        "PORTOS_BRIDGE_AUTH__USERNAME": "bridge",
        "PORTOS_BRIDGE_AUTH__PASSWORD": "correct horse",
        "PORTOS_BRIDGE_AUTH__DEVICE_NAME": "bridge-1",
        "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "tickets, orders",
        "PORTOS_BRIDGE_JOURNAL__PATH": str(tmp / "journal" / "journal.db"),
        "PORTOS_BRIDGE_SINK__EXAMPLE__URL": "example://here",
    }


FILE = "{tmp}/secret"
WRONG = {
    # unknown names
    "misspelt section": Wrong({"HUBB__URL": "x"}, {"HUBB__URL"}),
    "misspelt field": Wrong({"HUB__ULR": "x"}, {"HUB__ULR"}),
    "misspelt field of a sink": Wrong({"SINK__EXAMPLE__ULR": "x"}, {"SINK__EXAMPLE__ULR"}),
    "misspelt top name": Wrong({"SITES": "x"}, {"SITES"}),
    "one underscore": Wrong({"HUB_URL": "x"}, {"HUB_URL"}),
    "lower case": Wrong({"hub__url": "http://other"}, {"hub__url"}),
    "unknown, though empty": Wrong({"HUBB__URL": ""}, {"HUBB__URL"}),
    "a sink that is not installed": Wrong({"SINK__NATS__URL": "x"}, {"SINK__NATS__URL"}),
    "site is not the sink's": Wrong({"SINK__EXAMPLE__SITE": "shop"}, {"SINK__EXAMPLE__SITE"}),
    "a file for what is no secret": Wrong({"HUB__URL_FILE": "/etc/hostname"}, {"HUB__URL_FILE"}),
    # missing
    "no hub": Wrong({"HUB__URL": None}, {"HUB__URL"}),
    "no sinks": Wrong({"SINKS": None, "SINK__EXAMPLE__URL": None}, {"SINKS"}),
    "empty is not set": Wrong({"HUB__URL": ""}, {"HUB__URL"}),
    "no resources": Wrong({"SUBSCRIBE__RESOURCES": None}, {"SUBSCRIBE__RESOURCES"}),
    "no credentials": Wrong(
        {"AUTH__USERNAME": None, "AUTH__PASSWORD": None, "AUTH__DEVICE_NAME": None},
        {"AUTH__USERNAME", "AUTH__PASSWORD", "AUTH__DEVICE_NAME"},
    ),
    "nothing of a sink": Wrong({"SINK__EXAMPLE__URL": None}, {"SINK__EXAMPLE__URL"}),
    "only commas": Wrong({"SINKS": " , ", "SINK__EXAMPLE__URL": None}, {"SINKS"}),
    # wrong types and values
    "a unit": Wrong({"HUB__SILENCE_SECONDS": "30s"}, {"HUB__SILENCE_SECONDS"}),
    "zero seconds": Wrong({"HUB__KEEPALIVE_SECONDS": "0"}, {"HUB__KEEPALIVE_SECONDS"}),
    "recycling all the time": Wrong({"HUB__RECYCLE_SECONDS": "0.5"}, {"HUB__RECYCLE_SECONDS"}),
    "endless": Wrong({"STOP__DRAIN_SECONDS": "inf"}, {"STOP__DRAIN_SECONDS"}),
    "not a number": Wrong({"DELIVERY__CONNECT_SECONDS": "nan"}, {"DELIVERY__CONNECT_SECONDS"}),
    "a fraction of bytes": Wrong({"HUB__MAX_MESSAGE_BYTES": "1e9.5"}, {"HUB__MAX_MESSAGE_BYTES"}),
    "a port too high": Wrong({"ADMIN__PORT": "65536"}, {"ADMIN__PORT"}),
    "no such level": Wrong({"LOG__LEVEL": "verbose"}, {"LOG__LEVEL"}),
    "no such format": Wrong({"LOG__FORMAT": "xml"}, {"LOG__FORMAT"}),
    "no such scheme": Wrong({"AUTH__SCHEME": "basic"}, {"AUTH__SCHEME"}),
    "yes is not true": Wrong({"SUBSCRIBE__LICENCE": "yes"}, {"SUBSCRIBE__LICENCE"}),
    "neither true nor false": Wrong({"SUBSCRIBE__LICENCE": "maybe"}, {"SUBSCRIBE__LICENCE"}),
    "no such action": Wrong({"SUBSCRIBE__ACTIONS": "created,removed"}, {"SUBSCRIBE__ACTIONS"}),
    "a site with a blank": Wrong({"SITE": "My Shop"}, {"SITE"}),
    "a path with a query": Wrong({"HUB__PATH": "/hub?x=1"}, {"HUB__PATH"}),
    "an address with a path": Wrong({"HUB__URL": "http://hub/api"}, {"HUB__URL"}),
    "an address with a password": Wrong({"HUB__URL": "http://me:hunter2@hub"}, {"HUB__URL"}),
    "a password where the port is": Wrong({"HUB__URL": "http://me:hunter2"}, {"HUB__URL"}),
    "no scheme in the address": Wrong({"HUB__URL": "hub:3000"}, {"HUB__URL"}),
    "a wrong number in a sink": Wrong({"SINK__EXAMPLE__WINDOW_EVENTS": "0"}, {"SINK__EXAMPLE__WINDOW_EVENTS"}),
    "a wrong number in a section of a sink": Wrong({"SINK__EXAMPLE__POOL__SIZE": "no"}, {"SINK__EXAMPLE__POOL__SIZE"}),
    # contradictions
    "static without a token": Wrong(
        {"AUTH__SCHEME": "static"},
        {"AUTH__TOKEN", "AUTH__USERNAME", "AUTH__PASSWORD", "AUTH__DEVICE_NAME"},
    ),
    "a token without static": Wrong({"AUTH__TOKEN": "some-token"}, {"AUTH__TOKEN"}),
    "a resource twice": Wrong({"SUBSCRIBE__RESOURCES": "tickets,tickets"}, {"SUBSCRIBE__RESOURCES"}),
    "a resource twice in other letters": Wrong({"SUBSCRIBE__RESOURCES": "tickets,Tickets"}, {"SUBSCRIBE__RESOURCES"}),
    "licences as a resource": Wrong({"SUBSCRIBE__RESOURCES": "tickets,Licence"}, {"SUBSCRIBE__RESOURCES"}),
    "a wildcard beside a name": Wrong({"SUBSCRIBE__RESOURCES": "*,tickets"}, {"SUBSCRIBE__RESOURCES"}),
    # what leaves the shop
    "no such content": Wrong({"EVENT__CONTENT": "headers"}, {"EVENT__CONTENT"}),
    "secrets not acknowledged": Wrong({"SUBSCRIBE__RESOURCES": "apikeys"}, {"PRIVACY__ACKNOWLEDGE_RESOURCES"}),
    "secrets in other letters": Wrong({"SUBSCRIBE__RESOURCES": "ApiKeys"}, {"PRIVACY__ACKNOWLEDGE_RESOURCES"}),
    "everything, secrets not acknowledged": Wrong({"SUBSCRIBE__RESOURCES": "*"}, {"PRIVACY__ACKNOWLEDGE_RESOURCES"}),
    "everything, but one secret acknowledged or left out": Wrong(
        {
            "SUBSCRIBE__RESOURCES": "*",
            "PRIVACY__ACKNOWLEDGE_RESOURCES": "apikeys",
            "FILTER__EXCLUDE_RESOURCES": "sessions",
        },
        {"PRIVACY__ACKNOWLEDGE_RESOURCES"},
    ),
    "acknowledged by a wildcard": Wrong(
        {"SUBSCRIBE__RESOURCES": "apikeys", "PRIVACY__ACKNOWLEDGE_RESOURCES": "*"}, {"PRIVACY__ACKNOWLEDGE_RESOURCES"}
    ),
    "redaction of what the hub sent": Wrong({"PRIVACY__REDACT": "tickets.customer"}, {"PRIVACY__REDACT"}),
    "pseudonyms in what the hub sent": Wrong(
        {"PRIVACY__PSEUDONYMISE": "tickets.customer", "PRIVACY__HMAC_KEY": 32 * "k"}, {"PRIVACY__PSEUDONYMISE"}
    ),
    "redaction of a reference": Wrong(
        {"EVENT__CONTENT": "reference", "PRIVACY__REDACT": "tickets.customer"}, {"PRIVACY__REDACT"}
    ),
    "redaction of what is not subscribed": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "customers.email"}, {"PRIVACY__REDACT"}
    ),
    "redaction of what is left out": Wrong(
        {
            "EVENT__CONTENT": "resource",
            "PRIVACY__REDACT": "orders.customer",
            "FILTER__EXCLUDE_RESOURCES": "orders",
        },
        {"PRIVACY__REDACT"},
    ),
    "redaction of what is left out of everything": Wrong(
        {
            "SUBSCRIBE__RESOURCES": "*",
            "PRIVACY__ACKNOWLEDGE_RESOURCES": "apikeys,settings",
            "EVENT__CONTENT": "resource",
            "PRIVACY__REDACT": "sessions.token",
            "FILTER__EXCLUDE_RESOURCES": "sessions",
        },
        {"PRIVACY__REDACT"},
    ),
    "redaction of a licence that is not subscribed": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "licence.features", "SUBSCRIBE__LICENCE": "false"},
        {"PRIVACY__REDACT"},
    ),
    "redaction of a whole resource": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets"}, {"PRIVACY__REDACT"}
    ),
    "a path with an empty field": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets..name"}, {"PRIVACY__REDACT"}
    ),
    "a path that ends with a dot": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.customer."}, {"PRIVACY__REDACT"}
    ),
    "a path with a place in a list": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.items[0].comment"}, {"PRIVACY__REDACT"}
    ),
    "a path with empty brackets": Wrong(
        {
            "EVENT__CONTENT": "resource",
            "PRIVACY__PSEUDONYMISE": "tickets.items.names[]",
            "PRIVACY__HMAC_KEY": 32 * "k",
        },
        {"PRIVACY__PSEUDONYMISE"},
    ),
    "a path with an opening bracket": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.items[.comment"}, {"PRIVACY__REDACT"}
    ),
    "a path with a closing bracket": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.items].comment"}, {"PRIVACY__REDACT"}
    ),
    "a path with a wildcard in a field": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.cust*.email"}, {"PRIVACY__REDACT"}
    ),
    "one field with two rules": Wrong(
        {
            "EVENT__CONTENT": "resource",
            "PRIVACY__REDACT": "tickets.customer.email",
            "PRIVACY__PSEUDONYMISE": "Tickets.Customer.EMail",
            "PRIVACY__HMAC_KEY": 32 * "k",
        },
        {"PRIVACY__PSEUDONYMISE"},
    ),
    "a field with a rule in one with a rule": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__REDACT": "tickets.customer,tickets.customer.email"},
        {"PRIVACY__REDACT"},
    ),
    "pseudonyms without a key": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__PSEUDONYMISE": "tickets.customer"}, {"PRIVACY__HMAC_KEY"}
    ),
    "a short key": Wrong(
        {"EVENT__CONTENT": "resource", "PRIVACY__PSEUDONYMISE": "tickets.customer", "PRIVACY__HMAC_KEY": 31 * "k"},
        {"PRIVACY__HMAC_KEY"},
    ),
    "a key for nothing": Wrong({"PRIVACY__HMAC_KEY": 32 * "k"}, {"PRIVACY__HMAC_KEY"}),
    "everything subscribed is left out": Wrong(
        {"FILTER__EXCLUDE_RESOURCES": "Orders,tickets"}, {"FILTER__EXCLUDE_RESOURCES"}
    ),
    "every resource is left out": Wrong({"FILTER__EXCLUDE_RESOURCES": "*"}, {"FILTER__EXCLUDE_RESOURCES"}),
    "every id is left out": Wrong({"FILTER__EXCLUDE_IDS": "a-*,**"}, {"FILTER__EXCLUDE_IDS"}),
    "senders with a wildcard": Wrong({"FILTER__EXCLUDE_SENDERS": "950,import-*"}, {"FILTER__EXCLUDE_SENDERS"}),
    "licences left out as a resource": Wrong({"FILTER__EXCLUDE_RESOURCES": "Licence"}, {"FILTER__EXCLUDE_RESOURCES"}),
    "all contradictions of privacy at once": Wrong(
        {
            "SUBSCRIBE__RESOURCES": "sessions",
            "SUBSCRIBE__ACTIONS": "none",
            "PRIVACY__REDACT": "customers.email",
            "PRIVACY__PSEUDONYMISE": "customers.email",
            "FILTER__EXCLUDE_IDS": "*",
        },
        {
            "SUBSCRIBE__ACTIONS",
            "PRIVACY__ACKNOWLEDGE_RESOURCES",
            "PRIVACY__REDACT",
            "PRIVACY__PSEUDONYMISE",
            "PRIVACY__HMAC_KEY",
            "FILTER__EXCLUDE_IDS",
        },
    ),
    "a sink twice": Wrong({"SINKS": "example,example"}, {"SINKS"}),
    "pauses the wrong way round": Wrong({"HUB__FIRST_PAUSE_SECONDS": "60"}, {"HUB__FIRST_PAUSE_SECONDS"}),
    "doubts the wrong way round": Wrong({"HUB__DOUBT_FIRST_SECONDS": "46"}, {"HUB__DOUBT_FIRST_SECONDS"}),
    "rarer doubts with traffic": Wrong({"HUB__DOUBT_CLOSED_SECONDS": "44"}, {"HUB__DOUBT_LONGEST_SECONDS"}),
    "more memory than journal": Wrong({"JOURNAL__MEMORY_MAX_BYTES": "2000000000"}, {"JOURNAL__MEMORY_MAX_BYTES"}),
    "a folder for a journal": Wrong({"JOURNAL__PATH": "{tmp}"}, {"JOURNAL__PATH"}),
    "a name that no disk takes": Wrong({"JOURNAL__PATH": "{tmp}/" + 300 * "x"}, {"JOURNAL__PATH"}),
    "a file for a folder": Wrong({"JOURNAL__PATH": "{tmp}/secret/j.db"}, {"JOURNAL__PATH"}, {"secret": b"x"}),
    "authorities that are not there": Wrong(
        {"HUB__URL": "https://hub", "HUB__CA_FILE": "{tmp}/none.pem"}, {"HUB__CA_FILE"}
    ),
    "authorities without tls": Wrong({"HUB__CA_FILE": FILE}, {"HUB__CA_FILE"}, {"secret": b"x"}),
    "a certificate without tls": Wrong({"HUB__CLIENT_CERT_FILE": FILE}, {"HUB__CLIENT_CERT_FILE"}, {"secret": b"x"}),
    "a certificate that is none": Wrong(
        {"HUB__URL": "https://hub", "HUB__CLIENT_CERT_FILE": FILE}, {"HUB__CLIENT_CERT_FILE"}, {"secret": b"x"}
    ),
    "a proxy for a hub without tls": Wrong({"HUB__PROXY_URL": "http://proxy:3128"}, {"HUB__PROXY_URL"}),
    **{
        f"a proxy that is {address}": Wrong({"HUB__URL": "https://hub", "HUB__PROXY_URL": address}, {"HUB__PROXY_URL"})
        for address in ("proxy:3128", "https://proxy:3128", "http://proxy", "http://u:hunter2/@proxy:1", "http://p:1/x")
    },
    "a key without a certificate": Wrong(
        {"HUB__URL": "https://hub", "HUB__CLIENT_KEY_FILE": FILE}, {"HUB__CLIENT_KEY_FILE"}, {"secret": b"x"}
    ),
    "gaps of what is not subscribed": Wrong(
        {"VERSION__MODE": "contiguous", "SUBSCRIBE__ACTIONS": "created,updated"}, {"VERSION__MODE"}
    ),
    "gaps of what is left out": Wrong(
        {"VERSION__MODE": "contiguous", "FILTER__EXCLUDE_SENDERS": "import"}, {"VERSION__MODE"}
    ),
    "no such mode": Wrong({"VERSION__MODE": "strict"}, {"VERSION__MODE"}),
    "a sink's own contradiction": Wrong(
        {"SINK__EXAMPLE__RATIO": "2", "SINK__EXAMPLE__POOL__SIZE": "1"}, {"SINK__EXAMPLE__RATIO"}
    ),
    "a value quoted by a library": Wrong({"SINK__EXAMPLE__URL": "port:hunter2"}, {"SINK__EXAMPLE"}),
    "a value of a field quoted by a library": Wrong({"SINK__EXAMPLE__NAMES": "port:hunter2"}, {"SINK__EXAMPLE__NAMES"}),
    # secrets
    "a secret file that is not there": Wrong(
        {"AUTH__PASSWORD": None, "AUTH__PASSWORD_FILE": "{tmp}/none"}, {"AUTH__PASSWORD_FILE"}
    ),
    "a folder for a secret": Wrong({"AUTH__PASSWORD": None, "AUTH__PASSWORD_FILE": "{tmp}"}, {"AUTH__PASSWORD_FILE"}),
    "a secret that is not text": Wrong(
        {"SINK__EXAMPLE__TOKEN_FILE": FILE}, {"SINK__EXAMPLE__TOKEN_FILE"}, {"secret": b"\xff\xfe"}
    ),
    "an empty secret file": Wrong(
        {"SINK__EXAMPLE__TOKEN_FILE": FILE}, {"SINK__EXAMPLE__TOKEN_FILE"}, {"secret": b"\n"}
    ),
    "a huge secret file": Wrong(
        {"SINK__EXAMPLE__TOKEN_FILE": FILE}, {"SINK__EXAMPLE__TOKEN_FILE"}, {"secret": b"x" * 70_000}
    ),
    "variable and file": Wrong({"AUTH__PASSWORD_FILE": FILE}, {"AUTH__PASSWORD"}, {"secret": b"x"}),
    "variable and directory": Wrong({}, {"AUTH__PASSWORD"}, {"secrets/portos_bridge_auth__password": b"other"}),
    "file and directory": Wrong(
        {"SINK__EXAMPLE__TOKEN_FILE": FILE},
        {"SINK__EXAMPLE__TOKEN"},
        {"secret": b"one", "secrets/portos_bridge_sink__example__token": b"two"},
    ),
    "a misspelt secret": Wrong({}, {"SECRETS_DIR"}, {"secrets/portos_bridge_auth__pasword": b"x"}),
    "no secret in the directory": Wrong({}, {"SECRETS_DIR"}, {"secrets/portos_bridge_hub__url": b"x"}),
    # the settings directory
    "variable and setting": Wrong({}, {"HUB__URL"}, {"settings/portos_bridge_hub__url": b"http://127.0.0.1:4000"}),
    "a misspelt setting": Wrong({}, {"SETTINGS_DIR"}, {"settings/portos_bridge_log__levl": b"debug"}),
    "a setting without its prefix": Wrong({}, {"SETTINGS_DIR"}, {"settings/log__level": b"debug"}),
    "a setting in upper case": Wrong({}, {"SETTINGS_DIR"}, {"settings/PORTOS_BRIDGE_LOG__LEVEL": b"debug"}),
    "a section as a setting": Wrong({}, {"SETTINGS_DIR"}, {"settings/portos_bridge_log": b"{}"}),
    "a secret among the settings": Wrong(
        {"AUTH__PASSWORD": None},
        {"SETTINGS_DIR", "AUTH__PASSWORD"},
        {"settings/portos_bridge_auth__password": b"correct horse"},
    ),
    "where a secret is, as a setting": Wrong(
        {"AUTH__PASSWORD": None},
        {"SETTINGS_DIR", "AUTH__PASSWORD"},
        {"settings/portos_bridge_auth__password_file": b"/etc/hostname"},
    ),
    "the settings directory in itself": Wrong(
        {}, {"SETTINGS_DIR"}, {"settings/portos_bridge_settings_dir": b"/etc/elsewhere"}
    ),
    "a wrong setting": Wrong({}, {"LOG__LEVEL"}, {"settings/portos_bridge_log__level": b"verbose"}),
    "a setting that is not text": Wrong({}, {"SETTINGS_DIR"}, {"settings/portos_bridge_log__level": b"\xff\xfe"}),
    "a huge setting": Wrong(
        {"SUBSCRIBE__RESOURCES": None}, {"SETTINGS_DIR"}, {"settings/portos_bridge_subscribe__resources": b"x" * 70_000}
    ),
    "a file for the settings directory": Wrong({"SETTINGS_DIR": FILE}, {"SETTINGS_DIR"}, {"secret": b"x"}),
    "a file for a directory": Wrong({"SECRETS_DIR": FILE}, {"SECRETS_DIR"}, {"secret": b"x"}),
    # JSON sections
    "a section as JSON": Wrong({"HUB": '{"url": "http://hub"}'}, {"HUB"}),
    "broken JSON": Wrong({"AUTH": "{"}, {"AUTH"}),
    "all sinks as JSON": Wrong({"SINK": '{"example": {}}'}, {"SINK"}),
    "one sink as JSON": Wrong({"SINK__EXAMPLE": "{}"}, {"SINK__EXAMPLE"}),
    # sinks
    "an unknown sink": Wrong({"SINKS": "example,nats"}, {"SINKS"}),
    "a misspelt sink": Wrong({"SINKS": "exmaple", "SINK__EXAMPLE__URL": None}, {"SINKS"}),
    # everything at once
    "one of each": Wrong(
        {
            "HUBB__URL": "x",
            "HUB__URL": None,
            "HUB__SILENCE_SECONDS": "-1",
            "AUTH__PASSWORD": None,
            "AUTH__REFRESH_EVERY_SECONDS": "soon",
            "SUBSCRIBE__RESOURCES": "sessions",
            "SUBSCRIBE__ACTIONS": "none",
            "LOG": "{}",
            "SINKS": "example,other,nats",
            "SINK__EXAMPLE__RATIO": "half",
            "SINK__EXAMPLE__TOKEN_FILE": "{tmp}/none",
        },
        {
            "HUBB__URL",
            "HUB__URL",
            "HUB__SILENCE_SECONDS",
            "AUTH__PASSWORD",
            "AUTH__REFRESH_EVERY_SECONDS",
            "PRIVACY__ACKNOWLEDGE_RESOURCES",
            "SUBSCRIBE__ACTIONS",
            "LOG",
            "SINKS",
            "SINK__EXAMPLE__RATIO",
            "SINK__EXAMPLE__TOKEN_FILE",
            "SINK__OTHER__URL",
            "SECRETS_DIR",
        },
        {"secrets/portos_bridge_auth__passwort": b"x"},
    ),
}


def spoilt(good: dict[str, str], wrong: Wrong, tmp: Path) -> dict[str, str]:
    """Give the environment of a wrong configuration, and lay its files out."""
    for name, content in wrong.files.items():
        (tmp / name).write_bytes(content)
    changes = {
        f"PORTOS_BRIDGE_{name}": value and value.replace("{tmp}", str(tmp)) for name, value in wrong.change.items()
    }
    lower = {
        name.lower() if name.removeprefix("PORTOS_BRIDGE_").islower() else name: value
        for name, value in changes.items()
    }
    return {name: value for name, value in (good | lower).items() if value is not None}


def variable_of(problem: str) -> str:
    """Give the variable that a problem names."""
    name = problem.partition(": ")[0].rpartition(" in ")[2]
    return name.removeprefix("PORTOS_BRIDGE_").removeprefix("portos_bridge_")
