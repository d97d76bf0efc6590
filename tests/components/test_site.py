"""A site's resources as they reach the engine: what is made, in which order, and what is absent."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest

from components.ec2_host import Ec2HostArgs, Placement
from components.host import HostArgs, Opening
from components.site import AppArgs, Site, SiteArgs
from tests.components.recorder import RANGES, Recorder, run

OPENINGS = (
    Opening(port=443, ipv4=RANGES["ipv4Cidrs"], ipv6=RANGES["ipv6Cidrs"], why="Cloudflare"),
    Opening(port=22, ipv4=["198.18.67.10/32"], ipv6=[], why="Operator"),
)
DROPLET = HostArgs(region="fra1", size="s-1vcpu-1gb", user_data="#cloud-config\n", openings=OPENINGS)
EC2 = Ec2HostArgs(
    region="eu-central-1",
    size="t3.micro",
    user_data="#cloud-config\n",
    openings=OPENINGS,
    placement=Placement(vpc_id="vpc-1", subnet_id="subnet-1", image_id="ami-1", architecture="amd64", ipv6=True),
)
CLOUDS = pytest.mark.parametrize("host", [DROPLET, EC2], ids=["digitalocean", "aws"])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "app.tar.gz"
    path.write_bytes(b"archive")
    return path


def site(archive: Path, host: HostArgs, **changes: object) -> Callable[[], None]:
    def program() -> None:
        arguments: dict[str, object] = {
            "hostname": "example.com",
            "redirects": ("www.example.com",),
            "zone_id": "zone-1",
            "host": host,
            "bootstrap_hash": "0" * 64,
            "files": {"Caddyfile": "example.com {}", "edge.nft": "# ranges"},
            "app": AppArgs(
                archive=archive,
                source="abcdef012345",
                manifest={"source": "abcdef012345", "archive": "/srv/app/incoming/abcdef012345.tar.gz"},
                environment={"SECRET_KEY": pulumi.Output.secret("SECRET CANARY")},
            ),
            **changes,
        }
        Site("site", SiteArgs(**arguments))  # pyright: ignore[reportArgumentType]

    return program


def order(recorder: Recorder, *names: str) -> None:
    """Assert that the resources of these names were registered in this order."""
    registered = [resource.name for resource in recorder.resources if resource.custom]
    assert sorted(names, key=registered.index) == list(names)


@CLOUDS
def test_what_the_host_fetches_is_not_uploaded(archive: Path, host: HostArgs) -> None:
    fetched = AppArgs(archive=None, source="abcdef012345", manifest={"archive": "https://x/a.zip"}, environment={})
    names = {resource.name for resource in run(site(archive, host, app=fetched)).resources}
    assert "site-release-live" in names
    assert "site-release-archive" not in names


@CLOUDS
def test_the_firewall_stands_before_the_host(archive: Path, host: HostArgs) -> None:
    recorder = run(site(archive, host))
    registered = [resource.name for resource in recorder.resources if resource.custom]
    machine = registered.index("site-host")
    walls = [index for index, name in enumerate(registered) if name.startswith("site-host-firewall")]
    assert walls
    assert max(walls) < machine


@CLOUDS
def test_the_record_comes_last(archive: Path, host: HostArgs) -> None:
    recorder = run(site(archive, host))
    order(
        recorder,
        "site-pulls-enabled",
        "site-origin-configured",
        "site-verified-handshake",
        "site-edge-example.com-a",
    )
    order(recorder, "site-release-archive", "site-release-live", "site-edge-example.com-a")
    order(recorder, "site-edge-ssl-automatic-mode", "site-edge-ssl", "site-edge-example.com-a")


def test_a_droplet_is_reached_by_cloudflare_and_the_operator_alone(archive: Path) -> None:
    (firewall,) = run(site(archive, DROPLET)).of("digitalocean:index/firewall:Firewall")
    rules = {rule["portRange"]: rule["sourceAddresses"] for rule in firewall.inputs["inboundRules"]}
    assert rules == {"443": [*RANGES["ipv4Cidrs"], *RANGES["ipv6Cidrs"]], "22": ["198.18.67.10/32"]}


def test_an_instance_is_reached_by_cloudflare_and_the_operator_alone(archive: Path) -> None:
    (group,) = run(site(archive, EC2)).of("aws:ec2/securityGroup:SecurityGroup")
    rules = group.inputs["ingress"]
    opened = {(rule["fromPort"], cidr) for rule in rules for cidr in (*rule["cidrBlocks"], *rule["ipv6CidrBlocks"])}
    assert opened == {(443, cidr) for family in RANGES.values() for cidr in family} | {(22, "198.18.67.10/32")}
    assert all(rule["toPort"] == rule["fromPort"] and rule["protocol"] == "tcp" for rule in rules)
    # Rules of their own beside it would be drift of it.
    assert not run(site(archive, EC2)).of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0"])
def test_nothing_is_opened_to_the_world(cidr: str) -> None:
    family = {"ipv4": [], "ipv6": []} | {"ipv6" if ":" in cidr else "ipv4": [cidr]}
    with pytest.raises(ValueError, match=r"port 443 \(Cloudflare\) is opened to"):
        Opening(port=443, why="Cloudflare", **family)


def test_an_empty_list_opens_nothing() -> None:
    with pytest.raises(ValueError, match="opened to nobody"):
        Opening(port=443, ipv4=[], ipv6=[], why="Cloudflare")


def test_an_instance_takes_metadata_by_token_alone_and_encrypts_its_disk(archive: Path) -> None:
    inputs = run(site(archive, EC2)).named("site-host").inputs
    assert inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert inputs["rootBlockDevice"]["encrypted"] is True
    assert inputs["rootBlockDevice"]["volumeType"] == "gp3"
    assert inputs["userDataReplaceOnChange"] is True


@CLOUDS
def test_no_secret_is_written_where_it_could_be_read(archive: Path, host: HostArgs) -> None:
    recorder = run(site(archive, host))
    for resource in recorder.resources:
        shown = {key: value for key, value in resource.inputs.items() if key not in {"stdin", "connection"}}
        if resource.type.startswith("command:"):
            assert "CANARY" not in str(shown), resource.name
    assert "CANARY" not in str(recorder.named("site-host").inputs)
    stdin = recorder.named("site-release-live").inputs["stdin"]
    assert "SECRET CANARY" in str(stdin)


def test_every_name_has_both_records_and_they_are_proxied(archive: Path) -> None:
    records = run(site(archive, DROPLET)).of("cloudflare:index/dnsRecord:DnsRecord")
    assert {(record.inputs["name"], record.inputs["type"]) for record in records} == {
        ("example.com", "A"),
        ("example.com", "AAAA"),
        ("www.example.com", "A"),
        ("www.example.com", "AAAA"),
    }
    assert all(record.inputs["proxied"] is True and record.inputs["ttl"] == 1 for record in records)


@pytest.mark.parametrize(("host", "waits"), [("site-host-id", False), ("another", True)])
def test_only_another_host_is_waited_for(archive: Path, tmp_path: Path, host: str, waits: bool) -> None:
    recorder = run(site(archive, DROPLET, drain=5))
    order(recorder, "site-edge-example.com-a", "site-edge-moved-over")
    inputs = recorder.named("site-edge-moved-over").inputs
    (tmp_path / "sleep").write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/slept\n')
    (tmp_path / "sleep").chmod(0o755)
    inherited = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PULUMI_COMMAND_STDOUT": "site-host-id"}
    done = subprocess.run(
        ["/bin/sh", "-c", inputs["update"]],
        env={**inherited, **inputs["environment"], "HOST": host},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{host}\n"
    assert (tmp_path / "slept").exists() == waits
    if waits:
        assert (tmp_path / "slept").read_text() == "15\n"


def test_the_zone_is_strict(archive: Path) -> None:
    chosen = run(site(archive, DROPLET)).of("cloudflare:index/zoneSetting:ZoneSetting")
    assert {setting.inputs["settingId"]: setting.inputs["value"] for setting in chosen} == {
        "ssl_automatic_mode": "custom",
        "ssl": "strict",
        "always_use_https": "on",
        "min_tls_version": "1.2",
    }


@pytest.mark.parametrize(("written", "set_to"), [(None, []), (True, ["on"]), (False, ["off"])])
def test_hotlinks_are_left_to_the_zone_unless_they_are_written(
    written: bool | None, set_to: list[str], archive: Path
) -> None:
    chosen = run(site(archive, DROPLET, hotlink_protection=written)).of("cloudflare:index/zoneSetting:ZoneSetting")
    found = [each.inputs["value"] for each in chosen if each.inputs["settingId"] == "hotlink_protection"]
    assert found == set_to


def test_a_stack_that_does_not_own_the_zone_leaves_its_settings_alone(archive: Path) -> None:
    recorder = run(site(archive, DROPLET, manage_zone_settings=False))
    assert recorder.of("cloudflare:index/zoneSetting:ZoneSetting") == []
    assert recorder.of("cloudflare:index/dnsRecord:DnsRecord")


def test_the_origin_demands_the_zone_s_own_ca(archive: Path) -> None:
    recorder = run(site(archive, DROPLET))
    assert "CLIENT CA" in str(recorder.named("site-origin-configured").inputs["stdin"])
    uploaded = recorder.named("site-pulls")
    assert uploaded.inputs["certificate"] == "CLIENT LEAF"


def test_the_cache_is_purged_when_it_is_asked_for_and_then_last(archive: Path) -> None:
    assert "site-purge-purged" not in [resource.name for resource in run(site(archive, DROPLET)).resources]
    recorder = run(site(archive, DROPLET, purge_after_release=True))
    purged = recorder.named("site-purge-purged")
    assert purged.inputs["environment"] == {"ZONE": "zone-1", "HOSTS": '["example.com"]'}
    order(recorder, "site-release-live", "site-edge-moved-over", "site-purge-purged")


TOKENS = {
    "flask-origin:bootstrap:Bootstrap",
    "flask-origin:droplet_firewall:DropletFirewall",
    "flask-origin:droplet_host:DropletHost",
    "flask-origin:ec2_firewall:Ec2Firewall",
    "flask-origin:ec2_host:Ec2Host",
    "flask-origin:edge:Edge",
    "flask-origin:origin:Origin",
    "flask-origin:origin_certificate:OriginCertificate",
    "flask-origin:origin_pulls:OriginPulls",
    "flask-origin:purge:Purge",
    "flask-origin:release:Release",
    "flask-origin:site:Site",
    "flask-origin:verified_origin:VerifiedOrigin",
    "flask-origin:zone_before:ZoneBefore",
}


def test_type_tokens_are_frozen(archive: Path) -> None:
    """A renamed class would replace what stands: keep the old token as an alias and add a row."""
    seen = {
        resource.type
        for host in (DROPLET, EC2)
        for resource in run(site(archive, host, purge_after_release=True)).resources
        if resource.type.startswith("flask-origin:")
    }
    assert seen == TOKENS
