"""One mapping from four places: the environment, the settings directory, `<VARIABLE>_FILE` and the secrets directory.

Reads files and nothing else; checks names, not values. Whatever is wrong becomes a line in `problems`, so that an
operator sees everything at once. Used by `bridge.settings.loading` alone, with what `bridge.settings.reference` found.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from bridge.settings.file import Folder, UnreadableFile, listed, read_secret
from bridge.settings.reference import PREFIX, Variable

__all__ = ["SECRETS_DIR", "SETTINGS_DIR", "Names", "Resolved", "resolve"]

SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
SETTINGS_DIR = f"{PREFIX}SETTINGS_DIR"

# What Kubernetes injects into every pod beside a Service called `portos-bridge`.
_SERVICE = re.compile(r"SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")


@dataclass(frozen=True, slots=True)
class Names:
    """What may be set: the known variables by name, and the prefixes of installed sinks that are not fed.

    With `alone`, whatever else is set is for somebody else to judge.
    """

    known: Mapping[str, Variable]
    idle_prefixes: Collection[str] = ()
    alone: bool = False

    def secrets(self) -> Iterable[str]:
        """List the variables that may come from a file."""
        return (name for name, variable in self.known.items() if variable.secret)

    def sections(self) -> set[str]:
        """List the names that are sections of variables and no variables themselves."""
        parts = (name.split("__") for name in self.known)
        return {"__".join(part[:end]) for part in parts for end in range(1, len(part))}


@dataclass(slots=True)
class Resolved:
    """The merged values by variable name, and what was found on the way.

    `files` are those that secrets were read from; `unreadable` is set, to what nobody knows.
    """

    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


def resolve(environ: Mapping[str, str], settings: Folder, secrets_dir: Path, names: Names) -> Resolved:
    """Merge all that is set; an empty value counts as not set."""
    resolved = Resolved()
    ways: dict[str, list[str]] = {}
    _take_environment(environ, names, resolved, ways)
    _take_settings(settings, names, resolved, ways)
    _take_secrets(secrets_dir, names, resolved, ways)
    for name, given in ways.items():
        if len(given) > 1:
            resolved.problems.append(f"{name}: is given in more than one way ({', '.join(given)}); keep one")
    return resolved


def _take_environment(environ: Mapping[str, str], names: Names, resolved: Resolved, ways: dict[str, list[str]]) -> None:
    from_file = {f"{name}_FILE": name for name in names.secrets()}
    sections = names.sections()
    for name, value in sorted(environ.items()):
        if not name.upper().startswith(PREFIX) or _SERVICE.fullmatch(name.removeprefix(PREFIX)):
            continue
        if any(name.startswith(prefix) for prefix in names.idle_prefixes):
            resolved.warnings.append(f"{name}: is not used, since {PREFIX}SINKS does not name its sink")
        elif name in names.known:
            if value:
                resolved.values[name] = value
                ways.setdefault(name, []).append("the variable")
        elif name in from_file:
            if value:
                ways.setdefault(from_file[name], []).append(name)
                _read(Path(value), name, from_file[name], resolved)
        elif names.alone:
            continue
        elif name.upper() in sections:
            example = next(known for known in names.known if known.startswith(f"{name.upper()}__"))
            resolved.problems.append(f"{name}: a section is not set as a whole; set its variables, such as {example}")
        else:
            hint = _nearest(name.upper(), [*names.known, *from_file])
            resolved.problems.append(f"{name}: there is no such variable{hint}")


def _take_settings(settings: Folder, names: Names, resolved: Resolved, ways: dict[str, list[str]]) -> None:
    if settings.unlisted and not names.alone:
        resolved.problems.append(f"{SETTINGS_DIR}: cannot be listed: {settings.unlisted}")
    known = {name.lower(): variable for name, variable in names.known.items()}
    for file in sorted({*settings.values, *settings.unreadable}):
        variable = known.get(file)
        if variable is None or variable.secret or variable.name == SETTINGS_DIR:
            _refuse_setting(file, variable, names, resolved)
        elif file in settings.unreadable:
            resolved.problems.append(f"{SETTINGS_DIR}: the file for {variable.name} {settings.unreadable[file]}")
            resolved.unreadable.add(variable.name)
        elif settings.values[file]:
            resolved.values.setdefault(variable.name, settings.values[file])
            ways.setdefault(variable.name, []).append("the settings directory")


def _refuse_setting(file: str, variable: Variable | None, names: Names, resolved: Resolved) -> None:
    where = f"{file} in {SETTINGS_DIR}:"
    if any(file.startswith(prefix.lower()) for prefix in names.idle_prefixes):
        resolved.warnings.append(f"{where} is not used, since SINKS does not name its sink")
    elif names.alone:
        return
    elif variable is None:
        meant = f"{PREFIX}{file.upper().removeprefix(PREFIX)}".lower()
        hint = _nearest(meant, (name.lower() for name, known in names.known.items() if not known.secret))
        resolved.problems.append(f"{where} there is no such setting{hint}")
    elif variable.secret:
        resolved.problems.append(f"{where} is a secret; its file belongs into the secrets directory, {SECRETS_DIR}")
    else:
        resolved.problems.append(f"{where} cannot say where it stands itself; set it as a variable")


def _take_secrets(folder: Path, names: Names, resolved: Resolved, ways: dict[str, list[str]]) -> None:
    try:
        files = listed(folder)
    except OSError as error:
        resolved.problems.append(f"{SECRETS_DIR}: cannot be listed: {error.strerror}")
        return
    secrets = {name.lower(): name for name in names.secrets()}
    for path in files:
        if path.name in secrets:
            name = secrets[path.name]
            ways.setdefault(name, []).append("the secrets directory")
            _read(path, SECRETS_DIR, name, resolved)
        elif names.alone:
            continue
        elif any(path.name.startswith(prefix.lower()) for prefix in names.idle_prefixes):
            resolved.warnings.append(f"{path.name} in {SECRETS_DIR}: is not used, since SINKS does not name its sink")
        elif path.name.upper() in names.known:
            resolved.problems.append(f"{path.name} in {SECRETS_DIR}: is no secret; set it as a variable")
        else:
            hint = _nearest(path.name.lower(), secrets)
            resolved.problems.append(f"{path.name} in {SECRETS_DIR}: there is no such secret{hint}")


def _read(path: Path, origin: str, name: str, resolved: Resolved) -> None:
    """Take one secret from its file, or note why not."""
    try:
        resolved.values.setdefault(name, read_secret(path))
        resolved.files.setdefault(name, path)
    except UnreadableFile as error:
        resolved.problems.append(f"{origin}: the file for {name} {error}")
        resolved.unreadable.add(name)


def _nearest(name: str, known: Iterable[str]) -> str:
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
