"""The whole program under mocks, for every stack file of the project."""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi
import pytest

from rehearsal import stackfile
from rehearsal.cloud import authorities
from tests.components.recorder import RANGES, Recorder, run

ROOT = Path(__file__).parent.parent
STACKS = sorted([*ROOT.glob("Pulumi.*.yaml"), *ROOT.glob("examples/**/Pulumi.*.yaml")])
CREDENTIALS = {"CLOUDFLARE_API_TOKEN": "t", "DIGITALOCEAN_TOKEN": "t", "OPERATOR_ADDRESS": "198.18.67.10"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "true")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def program(
    config: dict[str, str], recorder: Recorder | None = None, secret: Sequence[str] = ("flask-origin:secrets",)
) -> Recorder:
    """Run `__main__.py` under mocks with this configuration."""

    def main() -> None:
        pulumi.runtime.set_all_config(config, list(secret))
        runpy.run_path(str(ROOT / "__main__.py"))

    return run(main, recorder)


def configured(path: Path) -> dict[str, str]:
    return dict(stackfile.load(path, environ={}).config)


DEV = ROOT / "Pulumi.dev.yaml"


def test_there_are_stacks_for_both_clouds() -> None:
    clouds = {stackfile.load(path, environ={}).section("host").get("cloud") for path in STACKS}
    assert clouds >= {"digitalocean", "aws"}


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_a_stack_opens_its_web_port_to_cloudflare_alone(path: Path) -> None:
    recorder = program(configured(path))
    web: set[str] = set()
    for firewall in recorder.of("digitalocean:index/firewall:Firewall"):
        for rule in firewall.inputs["inboundRules"]:
            assert rule["portRange"] in {"22", "443"}
            web |= set(rule["sourceAddresses"]) if rule["portRange"] == "443" else set()
    for group in recorder.of("aws:ec2/securityGroup:SecurityGroup"):
        for rule in group.inputs["ingress"]:
            assert rule["fromPort"] == rule["toPort"] in {22, 443}
            web |= {*rule["cidrBlocks"], *rule["ipv6CidrBlocks"]} if rule["fromPort"] == 443 else set()
    assert web == {cidr for family in RANGES.values() for cidr in family}
    assert not web & {"0.0.0.0/0", "::/0"}


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_a_stack_ends_in_a_proxied_record(path: Path) -> None:
    recorder = program(configured(path))
    hostname = stackfile.load(path, environ={}).section("site")["hostname"]
    assert recorder.named(f"site-edge-{hostname}-a").inputs["proxied"] is True


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"ipv4Cidrs": []}, "IPv4 ranges: 0 given"),
        ({"ipv6Cidrs": []}, "IPv6 ranges: 0 given"),
        ({"ipv4Cidrs": ["0.0.0.0/0", *RANGES["ipv4Cidrs"]]}, "0.0.0.0/0"),
        ({"ipv4Cidrs": ["banana", *RANGES["ipv4Cidrs"]]}, "banana"),
    ],
)
def test_an_odd_list_of_ranges_creates_nothing(answer: dict[str, Any], problem: str) -> None:
    recorder = Recorder(answers={"cloudflare:index/getIpRanges:getIpRanges": answer})
    with pytest.raises(pulumi.RunError, match=problem):
        program(configured(DEV), recorder)
    assert [resource for resource in recorder.resources if resource.custom] == []


def test_missing_credentials_are_named_before_anything_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    recorder = Recorder()
    with pytest.raises(pulumi.RunError, match="CLOUDFLARE_API_TOKEN"):
        program(configured(DEV), recorder)
    assert [resource for resource in recorder.resources if resource.custom] == []


def test_a_secret_key_is_made_when_there_is_none() -> None:
    (password,) = program(configured(DEV)).of("random:index/randomPassword:RandomPassword")
    assert password.inputs["length"] == 64


def test_a_weak_secret_key_is_refused_and_never_shown() -> None:
    config = {**configured(DEV), "flask-origin:secrets": '{"SECRET_KEY": "hunter2"}'}
    with pytest.raises(pulumi.RunError, match=r"secrets\.SECRET_KEY") as refused:
        program(config)
    assert "hunter2" not in str(refused.value)


def test_secrets_in_plain_text_are_refused() -> None:
    config = {**configured(DEV), "flask-origin:secrets": '{"DATABASE_URL": "postgres://canary"}'}
    with pytest.raises(pulumi.RunError, match="secrets: DATABASE_URL stand in plain text") as refused:
        program(config, secret=())
    assert "canary" not in str(refused.value)
    assert program(config).named("site-release-live")


def test_another_stacks_client_ca_is_trusted_and_none_is_uploaded(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(authorities.new_authority("owner").certificate)
    edge = {"manage_zone_settings": False, "client_ca": str(ca)}
    recorder = program({**configured(DEV), "flask-origin:edge": json.dumps(edge)})
    assert "BEGIN CERTIFICATE" in str(recorder.named("site-origin-configured").inputs["stdin"])
    assert not [made for made in recorder.resources if "uthenticatedOriginPulls" in made.type]
    assert not recorder.of("cloudflare:index/zoneSetting:ZoneSetting")


def test_a_client_ca_that_is_none_is_refused(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("garbage")
    with pytest.raises(pulumi.RunError, match=r"edge\.client_ca: .* is not a PEM certificate"):
        program({**configured(DEV), "flask-origin:edge": json.dumps({"client_ca": str(ca)})})


def test_current_is_the_address_that_the_program_is_run_from() -> None:
    operator = json.dumps({"ranges": ["current", "203.0.113.7"]})
    recorder = program({**configured(DEV), "flask-origin:operator": operator})
    (firewall,) = recorder.of("digitalocean:index/firewall:Firewall")
    (rule,) = [rule for rule in firewall.inputs["inboundRules"] if rule["portRange"] == "22"]
    assert rule["sourceAddresses"] == ["203.0.113.7/32", f"{CREDENTIALS['OPERATOR_ADDRESS']}/32"]
