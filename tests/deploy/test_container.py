"""The image, the compose file and what they mount fit each other and the server's settings."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from cascade_server.settings import Settings


@pytest.fixture(scope="module")
def dockerfile(deploy: Path) -> str:
    return (deploy / "Dockerfile").read_text().replace("\\\n", " ")


@pytest.fixture(scope="module")
def services(deploy: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    return found


def test_the_image_runs_as_a_user_without_privileges(dockerfile: str) -> None:
    users = re.findall(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    assert len(users) == 1
    assert all(int(part) >= 1000 for part in users[0])


def test_every_file_that_the_image_copies_reaches_the_builder(deploy: Path, dockerfile: str) -> None:
    ignore = (deploy / "Dockerfile.dockerignore").read_text().split()
    allowed = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    copies = [
        line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY") and "--from" not in line
    ]
    sources = [source for copy in copies for source in copy]
    assert "cascade" in sources
    for source in sources:
        assert any(fnmatch(source, pattern) for pattern in allowed), source


def test_every_setting_that_is_set_is_one_the_server_has(dockerfile: str, services: dict[str, Any]) -> None:
    names = [*re.findall(r"\bCASCADE_(\w+)=", dockerfile), *services["server"]["environment"]]
    settings = {name.removeprefix("CASCADE_").lower() for name in names}
    assert {"host", "port", "data_dir", "cascades_dir", "threads"} <= settings
    assert settings <= set(Settings.model_fields)


def test_the_settings_of_the_image_are_valid(dockerfile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in re.findall(r"\b(CASCADE_\w+)=(\S+)", dockerfile):
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.host, settings.port, settings.metrics_port) == ("0.0.0.0", 50051, 9464)
    assert f"EXPOSE {settings.port} {settings.metrics_port}" in dockerfile
    assert str(settings.data_dir) in dockerfile.split("VOLUME", 1)[1].splitlines()[0]


def test_every_folder_and_file_that_compose_mounts_exists(deploy: Path, services: dict[str, Any]) -> None:
    mounts = [volume for service in services.values() for volume in service["volumes"] if volume.startswith(".")]
    assert mounts
    for mount in mounts:
        assert (deploy / mount.split(":")[0]).exists(), mount


def test_ports_are_open_to_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_password_has_a_default(services: dict[str, Any]) -> None:
    every = {name: value for service in services.values() for name, value in service.get("environment", {}).items()}
    passwords = {name: value for name, value in every.items() if "PASSWORD" in name}
    assert passwords
    assert all(value.startswith("${") and ":?" in value for value in passwords.values())


def test_the_drain_ends_before_docker_kills(services: dict[str, Any]) -> None:
    server = services["server"]
    assert float(server["environment"]["CASCADE_GRACE_SECONDS"]) < float(server["stop_grace_period"].removesuffix("s"))


def test_prometheus_scrapes_the_servers_metrics_port(deploy: Path, dockerfile: str) -> None:
    config = yaml.safe_load((deploy / "prometheus" / "prometheus.yml").read_text())
    targets = [t for job in config["scrape_configs"] for c in job["static_configs"] for t in c["targets"]]
    port = re.findall(r"CASCADE_METRICS_PORT=(\d+)", dockerfile)[0]
    assert f"server:{port}" in targets
    assert all((deploy / "prometheus" / name).is_file() for name in config["rule_files"])


def test_grafana_finds_its_data_source_and_its_dashboard(deploy: Path, services: dict[str, Any]) -> None:
    provisioning = deploy / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    providers = yaml.safe_load((provisioning / "dashboards" / "cascade.yaml").read_text())["providers"]
    assert sources[0]["url"].removeprefix("http://").split(":")[0] in services
    folder = providers[0]["options"]["path"]
    assert f"./dashboards/cascade.json:{folder}/cascade.json:ro" in services["grafana"]["volumes"]
