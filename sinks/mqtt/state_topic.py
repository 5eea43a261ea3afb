"""The topics of states on MQTT: all below `{base}/state/`, where no event ever goes. Pure."""

from collections.abc import Callable

from bridge.cache import remembered
from bridge.message import percent_encoded

__all__ = ["problem_of_state_topic", "state_topics"]

_BEGINNING = ("{base}", "state")
_ONCE = ("{resource}", "{resource_id}")
_SITE = "{site}"
_LONGEST_TEMPLATE_BYTES = 1024


def problem_of_state_topic(template: str) -> str | None:
    """Say what is wrong with the template of the state topics, or None.

    Each resource has a topic of its own: what is filled in is a whole level, and no encoded name holds a slash.
    """
    levels = template.split("/")
    others = [level for level in levels[2:] if level not in (*_ONCE, _SITE)]
    if tuple(levels[:2]) != _BEGINNING or any(levels.count(name) != 1 for name in _ONCE):
        return "should begin with {base}/state/ and hold {resource} and {resource_id}, once and each as a whole level"
    if any(not level or set("{}+#$") & set(level) or not level.isprintable() for level in others):
        return "should have no further levels but {site} and plain ones, not empty and without + # $ and braces"
    if len(template.encode()) > _LONGEST_TEMPLATE_BYTES:
        return f"should be at most {_LONGEST_TEMPLATE_BYTES} bytes"
    return None


def state_topics(template: str, base: str, site: str) -> Callable[[str, str], bytes]:
    """Give the function that names the topic of a resource by its name and id."""
    _base, *levels = template.split("/")

    @remembered(4096)
    def topic(resource: str, resource_id: str) -> bytes:
        values = {"{resource}": percent_encoded(resource), "{resource_id}": percent_encoded(resource_id), _SITE: site}
        return "/".join([base, *(values.get(level, level) for level in levels)]).encode()

    return topic
