"""A broker in a container, through testcontainers; only images that are there already, nothing is pulled."""

import gc
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from tests.support import wait_until

__all__ = ["Container", "engine"]


@cache
def engine(image: str) -> bool:
    """Say whether a container engine answers and has the image; TEST_CONTAINERS=off leaves this rung out."""
    if os.environ.get("TEST_CONTAINERS", "") == "off":
        return False
    import docker
    from docker.errors import APIError, DockerException

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the library leaves the socket of a dead engine open
        try:
            client = docker.from_env(timeout=5)
        except DockerException:
            client = None
        gc.collect()
    if client is None:
        return False
    try:
        client.images.get(image)
    except (APIError, DockerException):
        return False
    finally:
        client.close()
    return True


class Container:
    """One container with fixed ports, so that a restart keeps its address."""

    def __init__(
        self,
        image: str,
        *,
        ports: Mapping[int, int],
        volumes: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # before the import: it is read there
        from testcontainers.core.container import DockerContainer

        made: DockerContainer = DockerContainer(image)
        for inside, outside in ports.items():
            made = made.with_bind_ports(inside, outside)
        for outside_path, inside_path in (volumes or {}).items():
            made = made.with_volume_mapping(outside_path, inside_path, mode="rw")
        for name, value in (environment or {}).items():
            made = made.with_env(name, value)
        if command:
            made = made.with_command(list(command))
        self._container = made
        self._created = False

    def start(self, ready: Callable[[], object], seconds: float) -> None:
        """Start it, again after a kill, and wait until `ready` is true."""
        if self._created:
            self._wrapped.start()
        else:
            self._container.start()
            self._created = True
        try:
            wait_until(lambda: self._alive() and ready(), seconds, f"container of {self._container.image} ready")
        except BaseException as error:
            error.add_note(f"the end of its output:\n{self.output()[-2000:]}")
            self.close()
            raise

    def _alive(self) -> bool:
        self._wrapped.reload()
        if self._wrapped.status == "exited":
            raise ChildProcessError(f"the container of {self._container.image} ended:\n{self.output()[-2000:]}")
        return True

    @property
    def _wrapped(self) -> Any:
        return self._container.get_wrapped_container()

    def output(self) -> str:
        return bytes(self._wrapped.logs()).decode(errors="replace")

    def signal(self, name: str) -> None:
        self._wrapped.kill(name)

    def pause(self) -> None:
        self._wrapped.pause()

    def resume(self) -> None:
        self._wrapped.reload()
        if self._wrapped.status == "paused":
            self._wrapped.unpause()

    def kill(self) -> None:
        self.resume()
        self._wrapped.reload()
        if self._wrapped.status == "running":
            self._wrapped.kill()
            self._wrapped.wait(timeout=10)

    def close(self) -> None:
        self._container.stop()


class OnContainer:
    """What can be done to every server that is a `container`."""

    container: Container

    def pause(self) -> None:
        self.container.pause()

    def resume(self) -> None:
        self.container.resume()

    def kill(self) -> None:
        self.container.kill()
