"""`portos-bridge schema`: the JSON Schemas of what the bridge publishes."""

import json
import sys

from bridge.commands.output import say
from bridge.schemas import names, schema

__all__ = ["show"]


def show(name: str | None) -> int:
    """Print the names of all schemas with their titles, or the schema with this name; 1 if there is none."""
    if name is None:
        width = max(map(len, names()))
        say(f"{each:<{width}}  {schema(each)['title']}" for each in names())
        return 0
    if name not in names():
        print(f"portos-bridge: no schema has the name {name!r}; without a name all are listed", file=sys.stderr)  # noqa: T201 - the command's output
        return 1
    say([json.dumps(schema(name), indent=2, ensure_ascii=False)], exactly=True)
    return 0
