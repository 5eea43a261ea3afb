"""docker-compose.yml as it is written: its services are confined, its variables exist."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import registry
from bridge.settings.loading import load
from bridge.settings.reference import PREFIX, variables
from helm.schema import models
from tests.deploy.observability import DASHBOARD, RULES, alerts
from tests.deploy.tools import ROOT, compose_file, output

SERVICES = sorted(compose_file()["services"])
OURS = ["bridge-kafka", "bridge-mqtt", "hub-simulator"]


def test_the_project_has_its_name() -> None:
    """Volumes and networks are found under the product's name wherever the checkout is."""
    assert compose_file()["name"] == "portos-bridge"


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_has_capabilities(service: str) -> None:
    """Every container runs without a capability and cannot gain one."""
    found = compose_file()["services"][service]

    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found
    assert "cap_add" not in found


@pytest.mark.parametrize("service", OURS)
def test_our_services_cannot_write_but_to_the_journal(service: str) -> None:
    """The root file system of our own images is read-only."""
    found = compose_file()["services"][service]

    assert found["read_only"] is True
    assert [volume.split(":")[1] for volume in found.get("volumes", [])] in ([], ["/var/lib/portos-bridge"])


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"bridge-kafka", "bridge-mqtt"}))
def test_every_service_says_when_it_is_healthy(service: str) -> None:
    """Whoever depends on a service can wait for it; the bridge's own check is in its image."""
    assert compose_file()["services"][service]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("service", ["bridge-kafka", "bridge-mqtt"])
def test_a_bridge_starts_after_its_broker(service: str) -> None:
    """The first attempt of a bridge meets a broker that answers."""
    needed = compose_file()["services"][service]["depends_on"]

    assert {name["condition"] for name in needed.values()} == {"service_healthy"}


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_open_on_this_machine_only(service: str) -> None:
    """Nothing without a password is offered to the network."""
    ports = compose_file()["services"][service].get("ports", [])

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned(service: str) -> None:
    """No image changes by itself."""
    image = compose_file()["services"][service]["image"]

    assert re.search(r":[\w.]*\d[\w.]*$|:-[\w-]+:dev}$", image), image


def test_profiles_are_those_that_the_readme_names() -> None:
    """Nothing starts without a profile, and no profile is misspelt."""
    found = {profile for service in compose_file()["services"].values() for profile in service["profiles"]}

    assert found == {"kafka", "mqtt", "demo", "observability"}


@pytest.mark.parametrize("service", ["bridge-kafka", "bridge-mqtt"])
def test_a_bridge_gets_only_variables_that_exist(service: str) -> None:
    """A misspelt variable in the compose file fails here, not at start."""
    known = {variable.name for prefix, model in models() for variable in variables(model, prefix)}
    given = [name for name in compose_file()["services"][service]["environment"] if name.startswith(PREFIX)]

    assert given
    assert sorted(set(given) - known) == []


@pytest.mark.parametrize("service", ["bridge-kafka", "bridge-mqtt"])
def test_every_setting_of_env_reaches_a_bridge(service: str) -> None:
    """What protects personal data is not left behind in .env, which need not be there."""
    assert compose_file()["services"][service]["env_file"] == [{"path": ".env", "required": False}]


@pytest.mark.parametrize("service", ["bridge-kafka", "bridge-mqtt"])
@pytest.mark.parametrize("way", ["nothing", "a password", "a file", "a token"])
def test_a_bridge_can_log_in_in_every_way(way: str, service: str, tmp_path: Path) -> None:
    """What stands in for the simulated shop's account gives way to a file with the password, and to a token."""
    (tmp_path / "password").write_text("4711")
    given = {
        "nothing": {},
        "a password": {"AUTH__PASSWORD": "4711"},
        "a file": {"AUTH__PASSWORD": "", "AUTH__PASSWORD_FILE": str(tmp_path / "password")},
        "a token": {"AUTH__SCHEME": "static", "AUTH__TOKEN": "4711", "AUTH__USERNAME": "", "AUTH__PASSWORD": ""},
    }[way]
    env = {f"{PREFIX}{name}": value for name, value in given.items()} | {f"{PREFIX}JOURNAL__PATH": str(tmp_path / "j")}
    env |= dict.fromkeys(("BRIDGE_MQTT_DEVICE", "BRIDGE_KAFKA_DEVICE"), "") if way == "a token" else {}

    auth = load(env | _filled_in(service, env), registry.installed()).settings.auth

    secret = auth.token if way == "a token" else auth.password
    assert secret is not None
    assert secret.get_secret_value() == ("secret" if way == "nothing" else "4711")


def test_env_holds_nothing_that_a_bridge_would_refuse() -> None:
    """All of .env reaches a bridge, which takes an unknown name with its prefix for a misspelt variable."""
    found = [variable for prefix, model in models() for variable in variables(model, prefix)]
    known = {name for one in found for name in ([one.name, f"{one.name}_FILE"] if one.secret else [one.name])}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", example))

    assert named
    assert sorted(named - known) == []


def test_the_example_environment_names_what_the_compose_file_reads() -> None:
    """.env.example and docker-compose.yml know the same variables, with the same defaults."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    read = dict(re.findall(r"\$\{([A-Z0-9_]+):?-([^}]*)\}", text))
    example = dict(
        re.findall(r"^#([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )

    without_default = {f"{PREFIX}ADMIN__TOKEN"}  # it reaches a bridge as all of .env does
    assert set(example) == {*read, *without_default}
    differing = {name for name in read if example[name] not in (read[name], "")}
    assert differing == {"PORTOS_BRIDGE_HUB__URL", "BUILD_CA_FILE"}  # examples by nature


@pytest.mark.parametrize("name", sorted(compose_file()["configs"]))
def test_each_inline_configuration_is_used(name: str) -> None:
    """The configuration of a service stands in this one file and reaches it."""
    service = compose_file()["services"][name.partition("-")[0]]

    assert name in [config["source"] for config in service["configs"]]
    assert compose_file()["configs"][name]["content"]


def test_prometheus_finds_every_bridge_by_one_name() -> None:
    """Each bridge answers to the name that Prometheus looks up, on the port that it serves."""
    (job,) = yaml.safe_load(compose_file()["configs"]["prometheus"]["content"])["scrape_configs"]
    (search,) = job["dns_sd_configs"]
    aliases = [
        compose_file()["services"][name]["networks"]["default"]["aliases"] for name in ("bridge-kafka", "bridge-mqtt")
    ]

    assert search["names"] == ["bridge"]
    assert search["port"] == 8080
    assert aliases == [["bridge"], ["bridge"]]


def test_prometheus_has_the_alerts_of_the_chart_and_no_copy() -> None:
    """The folder is mounted where the configuration looks for rules; the job has the name that an alert asks for."""
    configuration = yaml.safe_load(compose_file()["configs"]["prometheus"]["content"])
    (down,) = [alert for alert in alerts() if alert["alert"] == "PortosBridgeDown"]
    (asked,) = re.findall(r'job=~"([^"]+)"', down["expr"])

    assert _mounted("prometheus", RULES) == Path(configuration["rule_files"][0]).with_name(RULES.name)
    assert re.fullmatch(asked, configuration["scrape_configs"][0]["job_name"])


def test_grafana_has_the_dashboard_of_the_chart_and_its_prometheus() -> None:
    """Provisioned as Grafana's manual has it; the dashboard is where the provider looks, and the first seen."""
    (source,) = _provisioned("grafana-datasource", "datasources")
    (provider,) = _provisioned("grafana-dashboards", "providers")
    prometheus, grafana = (compose_file()["services"][name] for name in ("prometheus", "grafana"))
    folder = Path(provider["options"]["path"])

    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    assert source["url"] == f"http://prometheus:{prometheus['ports'][0].rpartition(':')[2]}"
    assert provider["type"] == "file"
    assert _mounted("grafana", DASHBOARD) == folder / DASHBOARD.name
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == str(folder / DASHBOARD.name)
    targets = [config["target"] for config in grafana["configs"]]
    assert targets == [f"/etc/grafana/provisioning/{kind}/portos-bridge.yaml" for kind in ("datasources", "dashboards")]


def test_whoever_reaches_grafana_may_only_look() -> None:
    """There is no user with a password that everybody knows: nobody can log in, over the API neither."""
    environment = compose_file()["services"]["grafana"]["environment"]

    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def _provisioned(config: str, kind: str) -> list[dict[str, Any]]:
    found = yaml.safe_load(compose_file()["configs"][config]["content"])
    assert found.keys() == {"apiVersion", kind}
    assert found["apiVersion"] == 1
    things: list[dict[str, Any]] = found[kind]
    return things


def _filled_in(service: str, env: Mapping[str, str]) -> dict[str, str]:
    """Say what compose gives a service under `environment`, with what stands in .env."""

    def value(found: re.Match[str]) -> str:
        name, colon, default = found.groups()
        given = env.get(name)
        return default if given is None or (colon and not given) else given

    written = compose_file()["services"][service]["environment"]
    return {name: re.sub(r"\$\{(\w+)(:?)-([^}]*)\}", value, text) for name, text in written.items()}


def _mounted(service: str, path: Path) -> Path:
    """Say where a service finds a file of this repository, which it may not write."""
    for volume in compose_file()["services"][service]["volumes"]:
        source, target, *rest = volume.split(":")
        if source.startswith("./") and path.parent == (ROOT / source):
            assert rest == ["ro"]
            return Path(target) / path.name
    raise AssertionError(f"{path} is not mounted")


@pytest.mark.docker
@pytest.mark.parametrize("profile", ["kafka", "mqtt", "demo", "observability", "*"])
def test_compose_accepts_every_profile(profile: str, docker: None) -> None:
    """`docker compose config` finds nothing wrong, whichever profile is chosen."""
    output("docker", "compose", "--env-file", "/dev/null", "--profile", profile, "config", "--quiet")
