"""`portos-bridge healthcheck`: tell whether the bridge of this container is alive.

Meant for a container's health check, so it starts fast: it imports no settings and reads the two variables it needs.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException

__all__ = ["healthcheck"]

_DEADLINE_SECONDS = 2.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def healthcheck() -> int:
    """Ask the admin port for `/livez`: 0 when it answers 200, otherwise 1 with the reason on standard error."""
    host = os.environ.get("PORTOS_BRIDGE_ADMIN__HOST", "")
    port = os.environ.get("PORTOS_BRIDGE_ADMIN__PORT") or "8080"
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


def _unhealthy(why: str) -> int:
    print(f"portos-bridge: {why}", file=sys.stderr)  # noqa: T201 - a command's output
    return 1
