"""Which variables there are: the models walked, once for all who need to know.

Pure. Serves the check for typos, `portos-bridge config env`, the tables in docs/configuration.md, and the tests of
chart and compose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.base import INHERITED, Hot

__all__ = [
    "PREFIX",
    "Variable",
    "as_environment",
    "as_markdown",
    "by_section",
    "sink_prefix",
    "value_of",
    "variables",
    "written",
]

PREFIX = "PORTOS_BRIDGE_"

_WHILE_IT_RUNS = " Can be changed while the bridge runs, as a file in `SETTINGS_DIR`."
_KINDS: dict[object, str] = {
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
    tuple: "list",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: `path` is where its value stands in the models, `default` is as one would write it.

    What is `hot` takes effect while the bridge runs: as a file of the settings directory it can be changed.
    """

    name: str
    path: tuple[str, ...]
    kind: str
    default: str
    required: bool
    secret: bool
    description: str
    hot: bool = False


def sink_prefix(sink: str) -> str:
    """Give what all variables of a sink begin with."""
    return f"{PREFIX}SINK__{sink.upper().replace('-', '_')}__"


def variables(model: type[BaseModel], prefix: str = PREFIX, path: tuple[str, ...] = ()) -> Iterator[Variable]:
    """Walk a model and yield its variables, in the order in which it declares them; what it inherits comes last."""
    own = model.__annotations__
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] not in own):
        kind = _plain(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables(kind, f"{prefix}{name.upper()}__", (*path, name))
        elif name not in INHERITED or not prefix.startswith(f"{PREFIX}SINK__"):
            yield Variable(
                name=f"{prefix}{name.upper()}",
                path=(*path, name),
                kind=_kind(kind),
                default=_default(field),
                required=field.is_required(),
                secret=kind is SecretStr,
                description=" ".join((field.description or "").split()),
                hot=Hot in field.metadata,
            )


def value_of(part: BaseModel, variable: Variable) -> object:
    """Give the value of a variable in the model that it is of."""
    value: object = part
    for step in variable.path:
        value = getattr(value, step)
    return value


def as_environment(sections: Sequence[tuple[str, Sequence[Variable]]]) -> str:
    """Write a commented environment file; what must be set has no comment sign, and secrets are always empty."""
    lines = []
    for title, section in sections:
        lines += [f"# ---- {title}", ""]
        for variable in section:
            note = " A secret: here, in <NAME>_FILE, or in the secrets directory." if variable.secret else ""
            note += _WHILE_IT_RUNS if variable.hot else ""
            lines.append(f"# {variable.description}{note}")
            lines += [f"{'' if variable.required else '#'}{variable.name}={variable.default}", ""]
    return "\n".join(lines)


def as_markdown(sections: Sequence[tuple[str, Sequence[Variable]]]) -> str:
    """Write the reference, one table a section."""
    lines = []
    for title, section in sections:
        lines += [f"### {title}", "", "| variable | value | default | meaning |", "|---|---|---|---|"]
        for variable in section:
            default = "**required**" if variable.required else f"`{variable.default}`" if variable.default else ""
            meaning = variable.description.replace("|", "\\|") + (_WHILE_IT_RUNS if variable.hot else "")
            cells = (f"`{variable.name}`", variable.kind, default, meaning)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def by_section(found: Sequence[Variable]) -> Iterator[tuple[str, Sequence[Variable]]]:
    """Group the core's variables as the models do: those of the top first, then section by section."""
    ordered = sorted(found, key=lambda variable: len(variable.path) > 1)
    for title, section in groupby(
        ordered, key=lambda variable: variable.path[0] if len(variable.path) > 1 else "bridge"
    ):
        yield title.capitalize(), list(section)


def _plain(annotation: Any) -> Any:
    """Strip `| None` from an annotation."""
    if get_origin(annotation) in (Union, UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    return _KINDS.get(get_origin(annotation) or annotation, "text")


def _default(field: FieldInfo) -> str:
    return "" if field.is_required() else written(field.get_default(call_default_factory=True, validated_data={}))


def written(value: object) -> str:
    """Write a value as it would stand in a variable; a secret never is."""
    match value:
        case None | SecretStr():
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)
