"""State topics: the newest state of each resource, kept by the brokers for whoever comes late."""

from bridge.state.topics import States

__all__ = ["States"]
