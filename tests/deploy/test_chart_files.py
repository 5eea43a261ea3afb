"""The chart's files as they are written: what needs no Helm to be checked."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from bridge import __version__
from bridge.settings.reference import PREFIX, variables
from helm.schema import CHART_DECIDES, main, models
from helm.table import described
from helm.table import main as table
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


def test_every_value_is_described_and_has_a_schema() -> None:
    """Down to the last one, but for those that are the operator's own to fill."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load(text)
    known = {path for path, _ in described(text)}

    assert set(schema["properties"]) == set(values) | {"global"}
    assert [path for path in leaves(values) if not any(path[:end] in known for end in range(1, len(path) + 1))] == []
    assert [path for path in leaves(values) if not in_schema(schema, path)] == []


def test_a_process_that_never_answers_is_noticed_soon() -> None:
    """Nothing that takes long comes before the first answer: a salvage is told by `/readyz`, and fails no `/livez`."""
    probe = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["startupProbe"]

    assert 30 <= probe["periodSeconds"] * probe["failureThreshold"] <= 120
    assert probe["httpGet"]["path"] == "/livez"


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(values, dict) or not values:
        yield path
        return
    for name, value in values.items():
        yield from leaves(value, (*path, name))


def in_schema(schema: Any, path: tuple[str, ...]) -> bool:
    """Say whether the schema names a value, or leaves open what is within one of those above it."""
    for name in path:
        if "properties" not in schema:
            return schema["type"] in {"object", "array"} and "additionalProperties" not in schema
        schema = schema["properties"].get(name)
        if schema is None:
            return False
    return True


def test_nothing_that_the_chart_does_not_know_can_be_set() -> None:
    """Every block of values that has names of its own forbids others."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    assert [path for path, block in blocks(schema) if block.get("additionalProperties") is not False] == []
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


def blocks(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in schema.get("properties", {}).items():
        if isinstance(value, dict):
            yield from blocks(value, f"{path}.{name}")
    if "properties" in schema and not path.endswith(".items"):
        yield path, schema


def test_the_readme_has_the_values_as_they_are() -> None:
    """Whoever changes values.yaml runs `make reference`."""
    assert table(["--check"]) == 0, "run `make reference` and commit the chart's README"


def test_the_schema_is_for_what_the_readme_shows() -> None:
    """The command of the README sets four values, all of which the chart knows, and a whole account."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    settings = re.findall(r"--set ([\w.]+)=", readme)
    keys = set(re.findall(r"--from-literal=([\w-]+)=", readme))

    assert len(settings) == 4
    assert all(in_schema(schema, tuple(name.split("."))) for name in settings)
    assert keys == {values["hub"][key] for key in ("usernameKey", "passwordKey", "deviceNameKey")}


def test_the_chart_says_who_it_is() -> None:
    """An icon that needs no server, and what Artifact Hub shows; the changelog knows of this version or what comes."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    changelog = (CHART / "CHANGELOG.md").read_text(encoding="utf-8")
    kind, data = chart["icon"].split(";base64,")

    assert kind == "data:image/svg+xml"
    assert base64.b64decode(data).startswith(b"<svg ")
    assert chart["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    assert (chart["apiVersion"], chart["type"], chart["kubeVersion"]) == ("v2", "application", ">=1.28.0-0")
    assert "## [Unreleased]" in changelog or f"## [{chart['version']}]" in changelog


def test_the_chart_names_the_version_of_the_program() -> None:
    """Without a tag of its own the chart runs the image of this very version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == __version__


def test_the_schema_allows_one_bridge_at_most() -> None:
    """Tools that read only the schema see that a second replica is refused; the template guards it too."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    assert schema["properties"]["replicaCount"]["maximum"] == 1
