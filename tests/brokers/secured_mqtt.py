"""A real Mosquitto with a listener for each way to be protected."""

import shutil
import signal
import ssl
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509

from tests.brokers.certificates import Authority
from tests.brokers.mqtt import MosquittoProgram, mosquitto
from tests.support import free_port, unavailable, wait_until

__all__ = ["SecuredMosquitto"]

_TLS = ("mqtts", "mtls", "wss")


class SecuredMosquitto(MosquittoProgram):
    """One broker; `address` gives the URL of a listener, and `authority` has signed its certificate.

    Listeners: `mqtt`, `mqtts`, `ws`, `wss`, and `mtls`, which wants a certificate of the client. Whoever gives a user
    name must have its password. `settings` are further lines of `mosquitto.conf`.
    """

    def __init__(self, settings: str = "") -> None:
        if mosquitto() is None or shutil.which("mosquitto_passwd") is None:
            unavailable("mqtt", "needs the programs mosquitto and mosquitto_passwd: install mosquitto")
        self._secrets = Path(tempfile.mkdtemp(prefix="mosquitto-secrets-"))
        self.authority = Authority(self._secrets / "tls")
        self._passwords = self._secrets / "passwords"
        self._passwords.touch(0o600)
        self._ports = {name: free_port() for name in (*_TLS, "ws")}
        self._shown = {name: self._secrets / f"{name}.pem" for name in _TLS}
        for file in self._shown.values():
            shutil.copy(self.authority.server("server"), file)
        super().__init__("\n".join([settings, f"password_file {self._passwords}", *map(self._listener, self._ports)]))

    def _listener(self, name: str) -> str:
        lines = [f"listener {self._ports[name]} 127.0.0.1"]
        if name.startswith("ws"):
            lines.append("protocol websockets")
        if name in _TLS:
            lines += [f"certfile {self._shown[name]}", f"keyfile {self._shown[name]}"]
        if name == "mtls":
            lines += [f"cafile {self.authority.ca_file}", "require_certificate true"]
        return "\n".join(lines)

    def port_of(self, listener: str) -> int:
        return self.port if listener == "mqtt" else self._ports[listener]

    def address(self, listener: str) -> str:
        """Give the URL of a listener."""
        return f"{'mqtts' if listener == 'mtls' else listener}://localhost:{self.port_of(listener)}"

    def present(self, certificate: Path) -> None:
        """Let new connections to the listener `mqtts` see another certificate."""
        shutil.copy(certificate, self._shown["mqtts"])
        self.program.signal(signal.SIGHUP)
        shown = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        address = ("127.0.0.1", self._ports["mqtts"])
        wait_until(
            lambda: x509.load_pem_x509_certificate(ssl.get_server_certificate(address, timeout=10).encode()) == shown,
            10,
            "it shows its new certificate",
        )

    def set_password(self, user: str, password: str) -> None:
        """Make a user, or change its password for logins to come."""
        subprocess.run(["mosquitto_passwd", "-b", str(self._passwords), user, password], check=True)
        self.program.signal(signal.SIGHUP)

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._secrets, ignore_errors=True)
