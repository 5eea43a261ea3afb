"""A directory of files as Kubernetes mounts a ConfigMap: links into `..data`, which is swapped for another at once."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Mount"]


class Mount:
    """One volume; `swap` is what the kubelet does when the ConfigMap has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._generation = 0
        folder.mkdir(exist_ok=True)

    def swap(self, files: Mapping[str, str]) -> None:
        """Put other files into the place of those there are: all contents at once, then the names."""
        self._generation += 1
        place = self.folder / f"..generation_{self._generation}"
        place.mkdir()
        for name, content in files.items():
            (place / name).write_text(content)
        new = self.folder / "..data_tmp"
        new.symlink_to(place.name)
        os.replace(new, self.folder / "..data")  # noqa: PTH105 - what replaces is the link itself
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for path in self.folder.iterdir():
            if path.is_symlink() and path.name not in {*files, "..data"}:
                path.unlink()
