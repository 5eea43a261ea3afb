"""A sink of a third party, as the tests of the settings see one: never connected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.errors import Unavailable
from bridge.ports import Sink, SinkPlugin
from bridge.settings import CommaList, Part, SinkConfig


class Pool(Part):
    """A section of a sink."""

    size: int = Field(default=2, ge=1)
    """How many."""
    password: SecretStr | None = None
    """Opens it."""


class ExampleConfig(SinkConfig):
    """One of each kind of variable."""

    url: str
    """Where it is."""
    token: SecretStr | None = None
    """What opens it."""
    names: CommaList = ("a", "b")
    """Some names."""
    ratio: float = 0.5
    """A number."""
    pool: Pool = Pool()

    @field_validator("names")
    @classmethod
    def _port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name.startswith("port:"):
                int(name.removeprefix("port:"))
        return value

    @model_validator(mode="after")
    def _contradiction(self) -> "ExampleConfig":
        if self.ratio > 1 and self.pool.size == 1:
            raise ValueError("RATIO above 1 needs more than one")
        if self.token is not None and self.token.get_secret_value().startswith("bad-"):
            raise ValueError(f"the token {self.token.get_secret_value()} is bad")
        if self.url.startswith("port:"):
            int(self.url.removeprefix("port:"))
        return self


@asynccontextmanager
async def _connect(config: ExampleConfig) -> AsyncIterator[Sink]:
    raise Unavailable(f"{config.url} refuses", reason="refused")
    yield


plugin = SinkPlugin(ExampleConfig, _connect)
