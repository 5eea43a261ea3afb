"""What the catalogue of metrics shows of the connections to the hub and to the brokers. Used by `bridge.service`."""

from bridge.labels import CONNECT_RESULTS, SINK_DISCONNECTS, SOURCE_DISCONNECTS, known
from bridge.link import Gauges
from bridge.metrics import Catalogue

__all__ = ["sink_gauges", "source_gauges"]


def source_gauges(catalogue: Catalogue) -> Gauges:
    """Count the connections to the hub, and show whether there is one."""
    return Gauges(
        attempt=lambda result: catalogue.source_connects.labels(catalogue.site, known(result, CONNECT_RESULTS)).inc(),
        lost=lambda reason: catalogue.source_disconnects.labels(
            catalogue.site, known(reason, SOURCE_DISCONNECTS)
        ).inc(),
        connected=catalogue.source_connected.set,
        held=lambda _: None,
    )


def sink_gauges(catalogue: Catalogue, sink: str) -> Gauges:
    """Count the connections of a sink, and show whether there is one and whether it is held."""
    return Gauges(
        attempt=lambda result: catalogue.sink_connects.labels(sink, known(result, CONNECT_RESULTS)).inc(),
        lost=lambda reason: catalogue.sink_disconnects.labels(sink, known(reason, SINK_DISCONNECTS)).inc(),
        connected=lambda up: catalogue.sink_connected.labels(sink).set(up),
        held=lambda held: catalogue.sink_held.labels(sink).set(held),
    )
