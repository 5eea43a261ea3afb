"""Files that hold one value each: a secret, or a directory of settings as Kubernetes mounts a ConfigMap.

Reads, and judges nothing but whether a file can be read. Used by `bridge.settings.resolver`, and by whoever reads such
a file again while the bridge runs.
"""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Folder", "UnreadableFile", "listed", "read_folder", "read_secret"]

_LARGEST_BYTES = 65_536


class UnreadableFile(Exception):
    """A file is of no use; the text says why, and what it holds is no part of it."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What a directory of settings held when it was read: the value in each file by its name, or what is wrong with it.

    Two that are equal held the same. `unlisted` says why the directory itself could not be read.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    unlisted: str = ""


def read_folder(path: Path) -> Folder:
    """Read a directory of settings, which may be absent. An empty file is a value that is empty."""
    values, unreadable = {}, {}
    try:
        for file in listed(path):
            try:
                values[file.name] = _read(file)
            except UnreadableFile as error:
                unreadable[file.name] = str(error)
    except OSError as error:
        return Folder(unlisted=str(error.strerror))
    return Folder(values, unreadable)


def listed(path: Path) -> Sequence[Path]:
    """Give the files of a directory by name, none where it is absent; raises `OSError`."""
    try:
        return sorted(file for file in path.iterdir() if not file.name.startswith("."))  # `..data` is Kubernetes' own
    except FileNotFoundError:
        return []


def read_secret(path: Path) -> str:
    """Read a secret; only a newline (LF or CRLF) at the very end is not part of it.

    Raises `UnreadableFile`, also for nothing.
    """
    secret = _read(path)
    if not secret:
        raise UnreadableFile("is empty")
    return secret


def _read(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe could wait for ever
            raise UnreadableFile("is no regular file")
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UnreadableFile("is not UTF-8") from error
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST_BYTES:
        raise UnreadableFile(f"is larger than {_LARGEST_BYTES} bytes")
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
