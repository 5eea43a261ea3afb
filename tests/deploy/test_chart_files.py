"""The chart's files as they are written: what needs no Helm to be checked."""

import json
import re

import yaml

from bridge import __version__
from bridge.settings.reference import PREFIX, variables
from helm.schema import CHART_DECIDES, main, models
from tests.deploy.tools import CHART


def test_the_schema_is_as_fresh_as_the_settings() -> None:
    """Whoever changes a setting runs `python -m helm.schema`."""
    assert main(["--check"]) == 0, "run `python -m helm.schema` and commit values.schema.json"


def test_the_schema_has_no_secret() -> None:
    """A secret cannot be written into the values that become a ConfigMap."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    offered = set(schema["properties"]["config"]["properties"])
    secret = {
        item.name.removeprefix(PREFIX) for prefix, model in models() for item in variables(model, prefix) if item.secret
    }

    assert secret
    assert offered & (secret | CHART_DECIDES) == set()


def test_every_value_has_a_description_and_a_schema() -> None:
    """values.yaml documents each top-level value, and the schema knows each."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    lines = text.splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if re.match(r"^\w+: \S", line) and not above.startswith("#")
    ]

    assert bare == []
    assert set(schema["properties"]) == set(yaml.safe_load(text)) | {"global"}


def test_the_chart_names_the_version_of_the_program() -> None:
    """Without a tag of its own the chart runs the image of this very version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == __version__


def test_the_schema_allows_one_bridge_at_most() -> None:
    """Tools that read only the schema see that a second replica is refused; the template guards it too."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    assert schema["properties"]["replicaCount"]["maximum"] == 1
