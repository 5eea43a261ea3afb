"""An MQTT sink whose broker is told of the bridge, and says with the connection's will when the bridge is gone."""

from functools import partial

from bridge.errors import Rejected
from bridge.ports import OFFLINE, Notice
from sinks.mqtt.meaning import notice_refused
from sinks.mqtt.notices import notice_packet, notice_topic
from sinks.mqtt.sink import MqttSink

__all__ = ["AnnouncingMqttSink"]


class AnnouncingMqttSink(MqttSink):
    """See the module. The will itself is set by `sinks.mqtt.session`, before there is a connection."""

    async def announce(self, notice: Notice) -> Rejected | None:
        """Publish a notice, and wait until the broker has confirmed it."""
        topic = notice_topic(self._config, notice.name)
        retained, most = notice.kept and self._retains, self._largest_packet_bytes
        packet_of = partial(notice_packet, self._config, notice, most, retained=retained)
        try:
            packet_of(1)
        except Rejected as error:
            return error
        self._present = True
        refusal = notice_refused(await self.publish_aside(packet_of), topic)
        self._present = notice != OFFLINE or refusal is not None
        return refusal
