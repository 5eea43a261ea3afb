"""`portos-bridge healthcheck`: tell whether the bridge of this container is alive.

Meant for a container's health check, so it starts fast: it imports no settings and reads the two variables it needs, or
their files in the settings directory.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

__all__ = ["healthcheck"]

_DEADLINE_SECONDS = 2.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def healthcheck() -> int:
    """Ask the admin port for `/livez`: 0 when it answers 200, otherwise 1 with the reason on standard error."""
    host = _setting("PORTOS_BRIDGE_ADMIN__HOST")
    port = _setting("PORTOS_BRIDGE_ADMIN__PORT") or "8080"
    if not port.isdecimal() or not 0 < int(port) < 65_536:  # noqa: PLR2004 - the range of ports
        return _unhealthy("PORTOS_BRIDGE_ADMIN__PORT: should be a fixed port from 1 to 65535")
    connection = HTTPConnection(_ANYWHERE.get(host, host), int(port), timeout=_DEADLINE_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return _unhealthy(f"no answer on port {port}: {error!r}")
    finally:
        connection.close()
    return 0 if status == 200 else _unhealthy(f"/livez answers {status}")  # noqa: PLR2004 - HTTP's own number


def _setting(name: str) -> str:
    """Read a variable as `bridge.settings.loading` does; a file that cannot be read keeps the bridge from starting."""
    folder = os.environ.get("PORTOS_BRIDGE_SETTINGS_DIR") or "/etc/portos-bridge/settings"
    try:
        return os.environ.get(name) or Path(folder, name.lower()).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        return ""


def _unhealthy(why: str) -> int:
    print(f"portos-bridge: {why}", file=sys.stderr)  # noqa: T201 - a command's output
    return 1
