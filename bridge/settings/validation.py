"""From values to a model, or to lines that say what is wrong with them, by the names of their variables.

No value is ever part of a line, since it may be a secret that stands where another value belongs. Used by
`bridge.settings.loading` alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.settings.reference import Variable

__all__ = ["validated", "without_secrets"]

M = TypeVar("M", bound=BaseModel)
_OF_THE_FIELD_ALONE = ("literal_error", "enum")  # pydantic's texts that list what is allowed and hold no input
_OWN_TEXTS = {
    "int_parsing": "should be a whole number, without a unit",
    "float_parsing": "should be a number, without a unit",
}
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")


def validated(
    model: type[M], data: Mapping[str, Any], prefix: str, known: Mapping[str, Variable], problems: list[str]
) -> M | None:
    """Give the model of these values, or None and a line for each of its problems."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems += _lines(error, prefix, known, data)
        return None


def _lines(
    error: ValidationError, prefix: str, known: Mapping[str, Variable], data: Mapping[str, Any]
) -> Iterator[str]:
    """Turn what pydantic found into one line each; only the message and the place are taken, never the input."""
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = _named(prefix, problem["loc"], problem["msg"], known)
        if problem["type"] == "missing":
            yield f"{name}: must be set: {known[name].description if name in known else ''}"
            continue
        text = _OWN_TEXTS.get(problem["type"], problem["msg"].removeprefix("Value error, ").removeprefix("Input "))
        if problem["type"] in _OF_THE_FIELD_ALONE:  # any word of it may be part of the value, as info is of infos
            yield f"{name}: {text}"
        else:
            yield f"{name}: {_without_input(text, problem['loc'], data)}"


def _named(prefix: str, place: Sequence[int | str], text: str, known: Mapping[str, Variable]) -> str:
    """Name the variable at a place; for a problem of a whole section, the first of its variables in the text."""
    parts = [str(part).upper() for part in place]
    names = [f"{prefix}{'__'.join(parts[:end])}" for end in range(len(parts), 0, -1)]
    section = names[0] if names else prefix.rstrip("_")
    mentioned = [f"{section}__{word}" for word in re.findall(r"[A-Z][A-Z0-9_]+", text)]
    return next((name for name in (*names, *mentioned) if name in known), section)


def _without_input(text: str, place: Sequence[int | str], data: Any) -> str:
    """Take out what a library quotes from the value, as urllib.parse does: it may be a password."""
    for part in place:
        data = data.get(part, "") if isinstance(data, Mapping) else data
    given = list(_texts(data))
    return _QUOTED.sub(lambda quoted: "'...'" if any(quoted[1] in value for value in given) else quoted[0], text)


def _texts(data: Any) -> Iterator[str]:
    """Walk nested values and yield the texts."""
    match data:
        case str():
            yield data
        case Mapping():
            for value in data.values():
                yield from _texts(value)


def without_secrets(problem: str, values: Mapping[str, str], known: Mapping[str, Variable]) -> str:
    """Take out a secret that a validator of a sink put into its message."""
    for name, value in values.items():
        if known[name].secret:
            problem = problem.replace(value, "**********")
    return problem
