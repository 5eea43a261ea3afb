"""`portos-bridge demo`: the bridge at work in a terminal, with everything it needs inside.

A simulated hub and an MQTT broker run here, the bridge as a real child process; the hub goes away and comes back, then
the broker does; at the end stands what was sent, accepted and delivered. Needs the extra `demo` for the broker.
"""

from bridge.demo.command import main

__all__ = ["main"]
