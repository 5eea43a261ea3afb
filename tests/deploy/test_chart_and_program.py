"""What the chart gives the pod is what the installed program takes: environment, settings, secrets, probes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.certificates import Authority
from tests.deploy.tools import config, helms, hot_config, need_helm, rendered, secret_files, values_files

pytestmark = pytest.mark.helm

PROGRAM = Path(sys.executable).with_name("portos-bridge")
TEXTS = {"portos_bridge_hub__proxy_url": "http://proxy.shop:3128"}
SECRET = "s3cret-" * 6
VALUES = pytest.mark.parametrize("values", values_files(), ids=lambda path: path.name.removesuffix("-values.yaml"))


def mounted(objects: Any, folder: Path) -> dict[str, str]:
    """Lay out the files of the pod in a folder; give the environment that leads there."""
    files = {
        "settings": hot_config(objects) | {path: "BRIDGE1" for _, _, path in secret_files(objects, "settings")},
        "secrets": {path: TEXTS.get(path, SECRET) for _, _, path in secret_files(objects)},
    }
    for name, contents in files.items():
        (folder / name).mkdir()
        for path, text in contents.items():
            (folder / name / path).write_text(text, encoding="utf-8")
    return {
        "PORTOS_BRIDGE_SETTINGS_DIR": str(folder / "settings"),
        "PORTOS_BRIDGE_SECRETS_DIR": str(folder / "secrets"),
        "PORTOS_BRIDGE_JOURNAL__PATH": str(folder / "journal" / "journal.db"),
    }


def with_certificates(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Lead the paths of certificates to a folder in which there are some."""
    authority = Authority(folder)
    shutil.copy(authority.ca_file, folder / "ca.crt")
    for file, name in zip(authority.client("bridge", SECRET), ("tls.crt", "tls.key"), strict=True):
        shutil.copy(file, folder / name)
    return {name: value.replace("/etc/portos/", f"{folder}/") for name, value in environment.items()}


def check(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), "check"]
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(command, env={**bare, **environment}, capture_output=True, text=True, timeout=60, check=False)


@VALUES
def test_the_program_takes_what_the_chart_gives(values: Path, tmp_path: Path) -> None:
    """Every set of values is a configuration that starts, with a hot setting besides."""
    need_helm()
    objects = rendered(helms()[-1], values, "config.LOG__LEVEL=debug", "config.FILTER__EXCLUDE_IDS=test-*")

    environment = with_certificates(config(objects), tmp_path / "certificates")
    done = check(environment | mounted(objects, tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PORTOS_BRIDGE_LOG__LEVEL=debug" in done.stdout
    assert (
        "PORTOS_BRIDGE_AUTH__SCHEME=static" in done.stdout or "PORTOS_BRIDGE_AUTH__DEVICE_NAME=BRIDGE1" in done.stdout
    )
    assert SECRET not in done.stdout + done.stderr
