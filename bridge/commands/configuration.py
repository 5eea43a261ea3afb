"""Read the configuration of this process: the only place where the environment is looked at."""

import os
import re

from bridge import log, registry
from bridge.settings.loading import Configuration, load

__all__ = ["configured"]

_SECRET_NAME = re.compile(r"PORTOS_BRIDGE_.*(PASSWORD|SECRET|TOKEN|KEY)", re.IGNORECASE)


def configured() -> Configuration:
    """Load the settings and set the log up with them; raises `ConfigError` with all that is wrong."""
    for name, value in os.environ.items():  # even a bug in loading must not print one of these
        if _SECRET_NAME.fullmatch(name):
            log.redact(value)
    configuration = load(os.environ, registry.installed())
    logging = configuration.settings.log
    log.configure(logging.level, logging.format, configuration.secrets())
    return configuration
