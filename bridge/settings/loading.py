"""From the environment and its files to frozen settings, or to a list of everything that is wrong with it.

Read by the command line alone; every component is given its own part. Names of sinks stand nowhere here: the installed
ones are an argument. Nothing on disk is written, and no value of a variable is ever part of a problem.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from bridge.errors import ConfigError
from bridge.ports import SinkPlugin
from bridge.settings.base import SinkConfig
from bridge.settings.check import cautions, contradictions, unusable_files, without_a_topic
from bridge.settings.core import Settings
from bridge.settings.file import Folder, UnreadableFile, read_folder, read_secret
from bridge.settings.reference import PREFIX, Variable, sink_prefix, variables
from bridge.settings.resolver import SECRETS_DIR, SETTINGS_DIR, Names, resolve
from bridge.settings.validation import validated, without_secrets

__all__ = ["Configuration", "load", "load_admin_token", "reread", "secret_values", "settings_dir"]

M = TypeVar("M", bound=BaseModel)


@dataclasses.dataclass(frozen=True, slots=True)
class Configuration:
    """What the bridge runs with: the core's settings, each sink's kind and settings by name, and lines to be logged.

    `secret_files` are the files that secrets were read from, by variable, and `folder` is the settings directory as it
    was then.
    """

    settings: Settings
    sinks: Mapping[str, tuple[SinkPlugin[Any], SinkConfig]]
    warnings: Sequence[str] = ()
    secret_files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    folder: Folder = dataclasses.field(default_factory=Folder)

    def secrets(self) -> frozenset[str]:
        """Collect every secret value, so that the log can be kept free of them."""
        parts = (self.settings, *(config for _, config in self.sinks.values()))
        return frozenset(secret for part in parts for secret in secret_values(part))


class _Environment(BaseSettings, Settings):
    """The core's settings as pydantic-settings reads them; `Settings` itself knows no environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", hide_input_in_errors=True
    )


def load(environ: Mapping[str, str], installed: Mapping[str, Callable[[], SinkPlugin[Any]]]) -> Configuration:
    """Build the configuration, or raise one `ConfigError` with all problems, a line each, by the name of the variable.

    `installed` holds a loader for each installed sink, as `bridge.registry.installed` gives it.
    """
    problems: list[str] = []
    folder = read_folder(settings_dir(environ))
    plugins = _plugins(_early(f"{PREFIX}SINKS", environ, folder), installed, problems)
    by_sink = {name: list(variables(plugin.config, sink_prefix(name))) for name, plugin in plugins.items()}
    known = {variable.name: variable for found in (variables(Settings), *by_sink.values()) for variable in found}
    idle = [sink_prefix(name) for name in installed if name not in plugins]
    resolved = resolve(environ, folder, _secrets_dir(environ, folder), Names(known, idle))
    problems += resolved.problems

    wrong: list[str] = []
    core = _core(resolved.values)
    settings = validated(Settings, core, PREFIX, known, wrong)
    given = {"site": settings.site, "oversize": settings.event.oversize} if settings else {}
    sinks = {}
    for name, plugin in plugins.items():
        own = _nested(resolved.values, by_sink[name]) | given
        config = validated(plugin.config, own, sink_prefix(name), known, wrong)
        if config is not None:
            sinks[name] = (plugin, config)
            wrong += unusable_files(name, config)
            wrong += without_a_topic(name, plugin, config, settings.subscribe.resources if settings else ())
    wrong += contradictions(_valid(core))
    problems += (line for line in wrong if line.partition(":")[0] not in resolved.unreadable)
    if settings is None or problems:
        raise ConfigError([without_secrets(problem, resolved.values, known) for problem in dict.fromkeys(problems)])
    return Configuration(settings, sinks, (*resolved.warnings, *cautions(settings, sinks)), resolved.files, folder)


def load_admin_token(environ: Mapping[str, str]) -> str | None:
    """Read `ADMIN__TOKEN` alone, wherever it is given and whatever else is set; raises `ConfigError`."""
    name = f"{PREFIX}ADMIN__TOKEN"
    known = {variable.name: variable for variable in variables(Settings) if variable.name == name}
    folder = read_folder(settings_dir(environ))
    resolved = resolve(environ, folder, _secrets_dir(environ, folder), Names(known, alone=True))
    if resolved.problems:
        raise ConfigError(resolved.problems)
    return resolved.values.get(name)


def settings_dir(environ: Mapping[str, str]) -> Path:
    """Say where the settings directory is; nothing but the environment can."""
    return Path(environ.get(SETTINGS_DIR) or Settings.model_fields["settings_dir"].default)


def _secrets_dir(environ: Mapping[str, str], folder: Folder) -> Path:
    return Path(_early(SECRETS_DIR, environ, folder) or Settings.model_fields["secrets_dir"].default)


def _early(name: str, environ: Mapping[str, str], folder: Folder) -> str:
    """Give what has to be known before it is known whether all is right."""
    return environ.get(name) or folder.values.get(name.lower(), "")


def secret_values(part: BaseModel) -> Iterator[str]:
    """Walk a model and yield the secrets that are set, and the password in one that is an address."""
    for name in type(part).model_fields:
        match getattr(part, name):
            case SecretStr() as secret if secret.get_secret_value():
                yield secret.get_secret_value()
                yield from _password_in(secret.get_secret_value())
            case BaseModel() as section:
                yield from secret_values(section)


def _password_in(secret: str) -> Iterator[str]:
    if secret.startswith("http://"):
        with suppress(ValueError):
            password = urlsplit(secret).password or ""
            yield from filter(None, (password, unquote(password)))


def reread(prefix: str, config: M, files: Mapping[str, Path]) -> M:
    """Give a part of the settings, whose variables have the prefix, with what the files of its secrets hold now.

    `files` are all of `Configuration.secret_files`. Blocks; raises `ConfigError` with what is wrong, by variable.
    """
    known = {variable.name: variable for variable in variables(type(config), prefix)}
    secrets: dict[str, str] = {}
    problems: list[str] = []
    for variable in known.keys() & files.keys():
        try:
            secrets[variable] = read_secret(files[variable])
        except UnreadableFile as error:
            problems.append(f"{variable}: its file {error}")
    data = config.model_dump()
    for path, value in ((known[variable].path, value) for variable, value in secrets.items()):
        section = data
        for part in path[:-1]:
            section = section[part]
        section[path[-1]] = value
    read = None if problems else validated(type(config), data, prefix, known, problems)
    if read is None:
        raise ConfigError([without_secrets(problem, secrets, known) for problem in problems])
    return read


def _plugins(
    selected: str, installed: Mapping[str, Callable[[], SinkPlugin[Any]]], problems: list[str]
) -> dict[str, SinkPlugin[Any]]:
    """Import the selected sinks; the value itself is not repeated in a problem, only where in the list it stands."""
    plugins = {}
    for place, name in enumerate(map(str.strip, selected.split(",")), start=1):
        if not name:
            continue  # which the settings refuse
        if name in installed:
            try:
                plugins[name] = installed[name]()
            except ConfigError as error:
                problems += error.problems
        else:
            near = get_close_matches(name.lower(), list(installed), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            if len(name.split()) > 1:
                hint = "; write commas between sinks"
            there = ", ".join(installed) or "none"
            problems.append(f"{PREFIX}SINKS: item {place} is no installed sink{hint} (installed: {there})")
    return plugins


def _core(values: Mapping[str, str]) -> dict[str, Any]:
    """Nest the core's values, with every section there, so that what it lacks is named one by one."""
    source = EnvSettingsSource(_Environment)
    source.env_vars = {name.lower(): value for name, value in values.items()}
    return {name: {} for name, field in Settings.model_fields.items() if _is_section(field.annotation)} | source()


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _valid(core: Mapping[str, Any]) -> Mapping[str, object]:
    """Give the values of the core's sections that are right by themselves, by variable without its prefix."""
    valid: dict[str, object] = {}
    for name, field in Settings.model_fields.items():
        if _is_section(field.annotation):
            section: Any = field.annotation
            valid |= {f"{name}__{field}".upper(): value for field, value in _valid_fields(section, core[name])}
    return valid


def _valid_fields(section: type[BaseModel], data: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Validate a section, and where that fails once more without the fields that are wrong; give the others."""
    wrong: set[int | str] = set()
    for _ in range(2):
        try:
            part = section.model_validate({name: value for name, value in data.items() if name not in wrong})
        except ValidationError as error:
            wrong = {problem["loc"][0] for problem in error.errors(include_input=False) if problem["loc"]}
        else:
            yield from ((name, value) for name, value in part if name not in wrong)
            return


def _nested(values: Mapping[str, str], own: Iterable[Variable]) -> dict[str, Any]:
    """Nest a sink's values as its model does."""
    nested: dict[str, Any] = {}
    for variable in own:
        if variable.name in values:
            section = nested
            for part in variable.path[:-1]:
                section = section.setdefault(part, {})
            section[variable.path[-1]] = values[variable.name]
    return nested
