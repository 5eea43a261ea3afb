"""A real Kafka broker with a listener for each way to be protected, by the script that TEST_KAFKA_BROKER names."""

import os
import ssl
import tempfile
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509

from tests.brokers.certificates import Authority
from tests.brokers.kafka import start_by_script
from tests.brokers.process import OnProgram, Program
from tests.support import free_port, require, wait_until

__all__ = ["IDLE_SECONDS", "SecuredKafka"]

IDLE_SECONDS = 4

_PROTOCOLS = {
    "PLAINTEXT": "PLAINTEXT",
    "CONTROLLER": "PLAINTEXT",
    "TLS": "SSL",
    "MTLS": "SSL",
    "LOGIN": "SASL_SSL",
    "BARE": "SASL_PLAINTEXT",
}
_JAAS = {
    "plain": 'plain.PlainLoginModule required user_bridge="right";',
    "scram-sha-256": "scram.ScramLoginModule required;",
    "scram-sha-512": "scram.ScramLoginModule required;",
    "oauthbearer": "oauthbearer.OAuthBearerLoginModule required;",
}


class SecuredKafka(OnProgram):
    """One broker; `address` gives where a listener is, and `authority` has signed its certificate.

    Listeners: `PLAINTEXT` for the test itself; `TLS`; `MTLS`, which wants a certificate of the client; `LOGIN` and
    `BARE`, which want a login, with TLS and without. The user of the mechanism PLAIN is `bridge` with `right`. What is
    idle for `IDLE_SECONDS` is closed, so that a login need not wait for a restart.
    """

    def __init__(self, properties: str = "") -> None:
        script = require("kafka", "TEST_KAFKA_BROKER")
        self.folder = Path(tempfile.mkdtemp(prefix="kafka-secured-"))
        self.authority = Authority(self.folder / "tls")
        first = free_port(neighbours=len(_PROTOCOLS) - 1)
        self._ports = {name: first + place for place, name in enumerate(_PROTOCOLS)}
        self.bootstrap = self.address("PLAINTEXT")
        everything = " ".join([*self._listeners(), *_logins(), properties])
        environment = os.environ | {"KAFKA_PROPERTIES": everything, "KAFKA_AUTO_CREATE": "false"}
        command = [script, str(first), str(self.folder / "data")]
        self.program = Program(command, self.folder / "log", environment)
        self._start()

    def _start(self) -> None:
        start_by_script(self.program, lambda: "Kafka Server started" in self.program.output(), 120)

    @property
    def _admin(self) -> AdminClient:
        """Give a client for one errand: a connection kept for the next one would be idle meanwhile, and closed."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def address(self, listener: str) -> str:
        return f"localhost:{self._ports[listener]}"

    def _listeners(self) -> list[str]:
        server = self.authority.server("server")
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()]
        advertised = [f"{name}://{self.address(name)}" for name in self._ports if name != "CONTROLLER"]
        protocols = [f"{name}:{protocol}" for name, protocol in _PROTOCOLS.items()]
        return [
            f"listeners={','.join(listeners)}",
            f"advertised.listeners={','.join(advertised)}",
            f"listener.security.protocol.map={','.join(protocols)}",
            "inter.broker.listener.name=PLAINTEXT",
            "ssl.keystore.type=PEM",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.authority.ca_file}",
            *(f"listener.name.{name}.ssl.keystore.type=PEM" for name in ("tls", "mtls", "login")),
            *(f"listener.name.{name}.ssl.keystore.location={server}" for name in ("tls", "mtls", "login")),
            "listener.name.mtls.ssl.client.auth=required",
            "ssl.allow.dn.changes=true ssl.allow.san.changes=true",
            f"connections.max.idle.ms={IDLE_SECONDS * 1000}",
            "listener.name.login.oauthbearer.connections.max.reauth.ms=3600000",  # so that a login ends with its token
        ]

    def create(self, topic: str) -> None:
        admin = self._admin
        admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
        wait_until(lambda: self._led(topic), 30, f"{topic} created")

    def _led(self, topic: str) -> bool:
        found = self._admin.list_topics(topic, timeout=10).topics[topic].partitions.values()
        return bool(found) and all(partition.leader > 0 for partition in found)

    def present(self, listener: str, certificate: Path) -> None:
        """Let new connections to a listener see another certificate."""
        change = ConfigEntry(
            f"listener.name.{listener.lower()}.ssl.keystore.location",
            str(certificate),
            incremental_operation=AlterConfigOpType.SET,
        )
        broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[change])
        admin = self._admin
        admin.incremental_alter_configs([broker])[broker].result(30)
        shown = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        wait_until(lambda: self._shows(listener, shown), 30, f"{listener} shows its new certificate")

    def _shows(self, listener: str, certificate: x509.Certificate) -> bool:
        """Look twice at what each of the listener's three threads shows: they take a new one up one by one."""
        address = ("127.0.0.1", self._ports[listener])
        shown = (ssl.get_server_certificate(address, timeout=10).encode() for _ in range(6))
        return all(x509.load_pem_x509_certificate(each) == certificate for each in shown)

    def set_password(self, user: str, password: str) -> None:
        """Make a user of the SCRAM mechanisms, or change its password for logins to come."""
        admin = self._admin
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            change = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), password.encode())
            admin.alter_user_scram_credentials([change])[user].result(30)
        wait_until(lambda: self._lets_in(user, password), 30, f"{user} logs in with the new password")

    def _lets_in(self, user: str, password: str) -> bool:
        login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}
        place = {"bootstrap.servers": self.address("BARE"), "log_level": 0}
        try:
            AdminClient(login | place | {"sasl.username": user, "sasl.password": password}).list_topics(timeout=2)
        except KafkaException:
            return False
        return True


def _logins() -> list[str]:
    """Write the logins of both listeners; what separates the words of a value must not separate properties."""
    mechanisms = ",".join(mechanism.upper() for mechanism in _JAAS)
    properties = []
    for listener in ("login", "bare"):
        properties.append(f"listener.name.{listener}.sasl.enabled.mechanisms={mechanisms}")
        for mechanism, module in _JAAS.items():
            value = f"org.apache.kafka.common.security.{module}".replace(" ", "\\u0020")
            properties.append(f"listener.name.{listener}.{mechanism}.sasl.jaas.config={value}")
    return properties
