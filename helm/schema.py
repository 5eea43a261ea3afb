"""Keep the chart's schema in step with the settings: `python -m helm.schema` writes it, `--check` only looks.

In helm/portos-bridge/values.schema.json the descriptions of `config` and `secrets` are generated from the models, and
which names `otherSinks` may not have; everything else is written by hand. `config` has no secrets, so that none can be
put into a ConfigMap, and lacks what the chart decides.
"""  # noqa: INP001 - the folder is the chart's, not a package

import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import BaseModel

import sinks
from bridge.settings import Settings
from bridge.settings.reference import PREFIX, Variable, sink_prefix, variables

__all__ = ["CHART_DECIDES", "generated", "models"]

CHART_DECIDES = frozenset({"SECRETS_DIR", "SETTINGS_DIR", "JOURNAL__PATH", "ADMIN__HOST", "ADMIN__PORT"})
"""Variables that belong to what the chart mounts and exposes; they keep their defaults."""

_SCHEMA = Path(__file__).parent / "portos-bridge" / "values.schema.json"
_KEPT = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "pattern", "minLength", "maxLength")


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models with the prefix of their variables: the core, then each sink of this repository."""
    yield PREFIX, Settings
    for name in _own_sinks():
        yield sink_prefix(name), import_module(f"sinks.{name}").plugin.config


def _own_sinks() -> Sequence[str]:
    return [folder.name for folder in iter_modules(sinks.__path__)]


def generated(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the schema with its `config` block made anew, and our own sinks kept out of `otherSinks`."""
    properties = schema["properties"]
    names = {variable.name.removeprefix(PREFIX): (model, variable) for model, variable in _all()}
    settings = {name: _value(m.model_json_schema(), v) for name, (m, v) in names.items() if not v.secret}
    for name in CHART_DECIDES:
        del settings[name]
    secrets = {
        name: {"description": v.description, "type": "string", "minLength": 1}
        for name, (_, v) in names.items()
        if v.secret
    }
    made = {
        "config": properties["config"] | {"properties": settings},
        "secrets": properties["secrets"] | {"properties": secrets},
        "otherSinks": properties["otherSinks"] | {"properties": dict.fromkeys(_own_sinks(), False)},
    }
    return schema | {"properties": properties | made}


def _all() -> Iterator[tuple[type[BaseModel], Variable]]:
    return ((model, variable) for prefix, model in models() for variable in variables(model, prefix))


def main(arguments: Sequence[str]) -> int:
    """Write the schema, or with `--check` return 1 if it is stale."""
    text = _SCHEMA.read_text(encoding="utf-8")
    fresh = json.dumps(generated(json.loads(text)), indent=2, ensure_ascii=False) + "\n"
    if "--check" in arguments:
        return int(fresh != text)
    _SCHEMA.write_text(fresh, encoding="utf-8")
    return 0


def _value(root: dict[str, Any], variable: Variable) -> dict[str, Any]:
    """Describe one variable as Helm sees it: as in the model, but a list is written with commas."""
    found = root
    for name in variable.path:
        found = _plain(root, found)["properties"][name]
    found = _plain(root, found)
    kept = {key: found[key] for key in _KEPT if key in found}
    if found.get("type") == "array":
        kept = {"type": "string"}
    return {"description": variable.description} | kept


def _plain(root: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and leave out that a value may be null."""
    for choice in found.get("anyOf", ()):
        if choice.get("type") != "null":
            return _plain(root, choice)
    for reference in (found, *found.get("allOf", ())):
        if "$ref" in reference:
            return dict(root["$defs"][reference["$ref"].rsplit("/", 1)[-1]])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
