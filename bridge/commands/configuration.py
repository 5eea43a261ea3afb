"""Read the configuration of this process: the only place where the environment is looked at."""

import os
import re

from bridge import log, registry
from bridge.settings.loading import Configuration, load, load_admin_token

__all__ = ["admin_token", "configured", "read"]

_SECRET_NAME = re.compile(r"PORTOS_BRIDGE_.*(PASSWORD|SECRET|TOKEN|KEY)", re.IGNORECASE)


def configured() -> Configuration:
    """Load the settings and set the log up with them; raises `ConfigError` with all that is wrong."""
    _redact_environment()
    configuration = read()
    logging = configuration.settings.log
    log.configure(logging.level, logging.format, configuration.secrets())
    return configuration


def read() -> Configuration:
    """Read the settings once more and leave the log alone; raises `ConfigError` with all that is wrong."""
    return load(os.environ, registry.installed())


def admin_token() -> str | None:
    """Read what opens the admin port of a bridge elsewhere; raises `ConfigError` where that cannot be read."""
    _redact_environment()
    token = load_admin_token(os.environ)
    if token:
        log.redact(token)
    return token


def _redact_environment() -> None:
    for name, value in os.environ.items():  # even a bug in loading must not print one of these
        if _SECRET_NAME.fullmatch(name):
            log.redact(value)
