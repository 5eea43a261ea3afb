"""What tells one configuration from another."""

from pydantic import SecretStr

from bridge.settings import Settings
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.settings.effective import effective, fingerprint
from bridge.settings.loading import Configuration


def configuration(site: str = "default", canary: str = "C4nary-one") -> Configuration:
    settings = Settings(
        site=site,
        sinks=("none",),
        hub=Hub(url="http://127.0.0.1:1"),
        auth=Auth(username="950", password=SecretStr(canary), device_name="BRIDGE1"),
        subscribe=Subscribe(resources=("tickets",)),
    )
    return Configuration(settings, {})


def test_any_setting_makes_another_fingerprint() -> None:
    """So two bridges that differ can be told apart by it."""
    assert fingerprint(configuration()) == fingerprint(configuration())
    assert fingerprint(configuration()) != fingerprint(configuration(site="other"))


def test_no_secret_is_in_a_fingerprint() -> None:
    """From one that were, a short password could be found by trying."""
    assert fingerprint(configuration()) == fingerprint(configuration(canary="C4nary-two"))
    assert not [line for line in effective(configuration()) if "C4nary" in line]
