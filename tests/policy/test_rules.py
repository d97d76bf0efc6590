"""Each rule on resources that keep to it and resources that do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from policy import rules
from policy.rules import UNKNOWN, Made
from provisioning.ranges import FALLBACK

FOUR, SIX = FALLBACK.ipv4[0], FALLBACK.ipv6[0]
WORLD = ("0.0.0.0/0", "::/0")


def droplet_firewall(*sources: object, ports: object = "443", protocol: str = "tcp", **more: object) -> dict[str, Any]:
    rule = {"protocol": protocol, "portRange": ports, "sourceAddresses": list(sources), **more}
    return {"inboundRules": [rule], "outboundRules": [{"protocol": "tcp", "destinationAddresses": list(WORLD)}]}


def group(
    *sources: str, low: object = 443.0, high: object = 443.0, protocol: str = "tcp", **more: object
) -> dict[str, Any]:
    families = {"cidrBlocks": [s for s in sources if ":" not in s], "ipv6CidrBlocks": [s for s in sources if ":" in s]}
    return {"ingress": [{"protocol": protocol, "fromPort": low, "toPort": high, **families, **more}]}


def ingress(port: object, protocol: str = "tcp", **source: object) -> dict[str, Any]:
    return {"ipProtocol": protocol, "fromPort": port, "toPort": port, **source}


def web(type_: str, properties: dict[str, Any]) -> Iterator[str]:
    return rules.web(type_, properties, FALLBACK.all)


PASS: list[tuple[Any, str, dict[str, Any]]] = [
    (web, rules.FIREWALL, droplet_firewall(FOUR, SIX)),
    (web, rules.FIREWALL, droplet_firewall("198.51.100.7", ports="22")),
    (web, rules.FIREWALL, droplet_firewall(*WORLD, protocol="icmp")),
    (web, rules.FIREWALL, droplet_firewall(UNKNOWN)),
    (web, rules.FIREWALL, droplet_firewall(*WORLD, ports=UNKNOWN)),
    (web, rules.FIREWALL, {"inboundRules": UNKNOWN}),
    (web, rules.FIREWALL, {}),
    (web, rules.SECURITY_GROUP, group(FOUR, SIX)),
    (web, rules.SECURITY_GROUP, {"egress": group(*WORLD)["ingress"]}),
    (web, rules.SECURITY_GROUP_RULE, {"type": "egress", **group(*WORLD)["ingress"][0]}),
    (web, rules.SECURITY_GROUP_RULE, {"type": "ingress", **group(FOUR)["ingress"][0]}),
    (web, rules.INGRESS_RULE, ingress(443.0, cidrIpv4="173.245.49.0/24")),
    (web, rules.INGRESS_RULE, ingress(443.0, cidrIpv6=UNKNOWN)),
    (rules.ssh, rules.FIREWALL, droplet_firewall("198.51.100.7", "2001:db8::/64", ports="22")),
    (rules.ssh, rules.FIREWALL, droplet_firewall(*WORLD)),
    (rules.ssh, rules.FIREWALL, droplet_firewall(*WORLD, ports="22", protocol="udp")),
    (rules.ssh, rules.INGRESS_RULE, ingress(22.0, cidrIpv4="198.51.0.0/16")),
    (rules.metadata, rules.INSTANCE, {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0}}),
    (rules.metadata, rules.INSTANCE, {"metadataOptions": {"httpEndpoint": "disabled"}}),
    (rules.metadata, rules.INSTANCE, {"metadataOptions": UNKNOWN}),
    (rules.disks, rules.INSTANCE, {"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": True}]}),
    (rules.disks, rules.INSTANCE, {"rootBlockDevice": {"encrypted": UNKNOWN}}),
    (rules.disks, rules.VOLUME, {"encrypted": True}),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "ssl", "value": "strict"}),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "min_tls_version", "value": "1.3"}),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "always_use_https", "value": UNKNOWN}),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "brotli", "value": "off"}),
]

REFUSED: list[tuple[Any, str, dict[str, Any], str]] = [
    (web, rules.FIREWALL, droplet_firewall("0.0.0.0/0"), "443/tcp is open to 0.0.0.0/0"),
    (web, rules.FIREWALL, droplet_firewall(FOUR, "::/0"), "443/tcp is open to ::/0"),
    (web, rules.FIREWALL, droplet_firewall("198.51.100.7", ports="80"), "80/tcp is open to 198.51.100.7/32"),
    (web, rules.FIREWALL, droplet_firewall(UNKNOWN, "0.0.0.0/0"), "0.0.0.0/0"),
    (web, rules.FIREWALL, droplet_firewall("203.0.113.0/24", ports="20-25"), "20-25/tcp"),
    (web, rules.FIREWALL, droplet_firewall("203.0.113.0/24", ports="all"), "0-65535/tcp"),
    (web, rules.FIREWALL, droplet_firewall("203.0.113.0/24", ports="22", protocol="udp"), "22/udp"),
    (web, rules.FIREWALL, droplet_firewall(sourceTags=["web"]), "whatever carries a tag"),
    (web, rules.FIREWALL, droplet_firewall(sourceLoadBalancerUids=UNKNOWN), "load balancers"),
    (web, rules.SECURITY_GROUP, group("0.0.0.0/0"), "443/tcp is open to 0.0.0.0/0"),
    (web, rules.SECURITY_GROUP, group("::/0", low=0.0, high=0.0, protocol="-1"), "0-65535/any is open to ::/0"),
    (web, rules.SECURITY_GROUP, group(FOUR, self=True), "its own security group"),
    (web, rules.SECURITY_GROUP_RULE, {"type": "ingress", **group("0.0.0.0/0")["ingress"][0]}, "0.0.0.0/0"),
    (web, rules.INGRESS_RULE, ingress(443.0, cidrIpv6="::/0"), "443/tcp is open to ::/0"),
    (web, rules.INGRESS_RULE, ingress(8443.0, cidrIpv4="173.245.0.0/16"), "8443/tcp is open to 173.245.0.0/16"),
    (web, rules.INGRESS_RULE, ingress(443.0, referencedSecurityGroupId=UNKNOWN), "a security group"),
    (web, rules.INGRESS_RULE, ingress(443.0, prefixListId="pl-1"), "a prefix list"),
    (rules.ssh, rules.FIREWALL, droplet_firewall("0.0.0.0/0", ports="22"), "SSH is open to 0.0.0.0/0"),
    (rules.ssh, rules.FIREWALL, droplet_firewall("::/0", ports="1-1024"), "SSH is open to ::/0"),
    (rules.ssh, rules.SECURITY_GROUP, group("128.0.0.0/1", low=22.0, high=22.0), "SSH is open to 128.0.0.0/1"),
    (
        rules.ssh,
        rules.SECURITY_GROUP_RULE,
        {"protocol": "all", "cidrBlocks": ["0.0.0.0/0"]},
        "SSH is open to 0.0.0.0/0",
    ),
    (rules.ssh, rules.INGRESS_RULE, {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}, "SSH is open to 0.0.0.0/0"),
    (rules.metadata, rules.INSTANCE, {}, "httpTokens"),
    (rules.metadata, rules.INSTANCE, {"metadataOptions": {"httpTokens": "optional"}}, "httpTokens"),
    (
        rules.metadata,
        rules.INSTANCE,
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2.0}},
        "HopLimit",
    ),
    (rules.metadata, rules.INSTANCE, {"metadataOptions": {"httpTokens": "required"}}, "HopLimit"),
    (rules.disks, rules.INSTANCE, {}, "rootBlockDevice is not encrypted"),
    (rules.disks, rules.INSTANCE, {"rootBlockDevice": {"encrypted": False}}, "rootBlockDevice is not encrypted"),
    (
        rules.disks,
        rules.INSTANCE,
        {"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": True}, {}]},
        "ebsBlockDevices[1] is not encrypted",
    ),
    (rules.disks, rules.VOLUME, {"size": 8.0}, "not encrypted"),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "ssl", "value": "flexible"}, 'ssl is "flexible"'),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "ssl", "value": "full"}, 'ssl is "full"'),
    (
        rules.zone,
        rules.ZONE_SETTING,
        {"settingId": "ssl_automatic_mode", "value": "auto"},
        'ssl_automatic_mode is "auto"',
    ),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "min_tls_version", "value": "1.1"}, 'min_tls_version is "1.1"'),
    (rules.zone, rules.ZONE_SETTING, {"settingId": "always_use_https", "value": "off"}, 'always_use_https is "off"'),
]


@pytest.mark.parametrize(("rule", "type_", "properties"), PASS)
def test_what_keeps_to_a_rule(rule: Any, type_: str, properties: dict[str, Any]) -> None:
    assert list(rule(type_, properties)) == []


@pytest.mark.parametrize(("rule", "type_", "properties", "problem"), REFUSED)
def test_what_breaks_a_rule(rule: Any, type_: str, properties: dict[str, Any], problem: str) -> None:
    assert problem in "\n".join(rule(type_, properties))


HOST = Made(
    "urn:host", rules.DROPLET, {"ipv4Address": "198.51.100.2", "ipv6Address": "2001:db8::2", "tags": ["origin"]}
)
COMING = Made("urn:host", rules.DROPLET, {"ipv4Address": UNKNOWN})
EC2 = Made("urn:ec2", rules.INSTANCE, {"publicIp": "198.51.100.3", "ipv6Addresses": ["2001:db8::3"]})


def record(content: object, *sources: Made, kind: str = "A", **more: object) -> Made:
    written = {"name": "example.com", "type": kind, "content": content, **more}
    return Made("urn:record", rules.RECORD, written, {"content": sources})


@pytest.mark.parametrize(
    "stack",
    [
        [HOST, record("198.51.100.2", proxied=True)],
        [HOST, record("203.0.113.9", proxied=False)],
        [HOST, record(UNKNOWN, proxied=False)],
        [HOST, record("198.51.100.2", proxied=UNKNOWN)],
        [HOST, record("198.51.100.2", kind="TXT")],
        [record("198.51.100.2", proxied=False)],
    ],
)
def test_records_that_hide_the_host(stack: list[Made]) -> None:
    assert list(rules.records(stack)) == []


@pytest.mark.parametrize(
    "stack",
    [
        [HOST, record("198.51.100.2", proxied=False)],
        [record("198.51.100.2"), HOST],
        [HOST, record("2001:db8::2", kind="AAAA", proxied=False)],
        [EC2, record("198.51.100.3", proxied=False)],
        [EC2, record("2001:db8::3", kind="AAAA", proxied=False)],
        [COMING, record(UNKNOWN, COMING, proxied=False)],
    ],
)
def test_records_that_tell_where_the_host_is(stack: list[Made]) -> None:
    ((urn, problem),) = rules.records(stack)
    assert urn == "urn:record"
    assert "example.com points at the host" in problem


TAG = Made("urn:tag", "digitalocean:index/tag:Tag", {"name": UNKNOWN})


def firewall(depends: dict[str, list[Made]] | None = None, **properties: object) -> Made:
    return Made("urn:firewall", rules.FIREWALL, properties, depends or {})


@pytest.mark.parametrize(
    ("stack", "held"),
    [
        ([HOST, firewall(tags=["origin"])], True),
        ([HOST, firewall({"dropletIds": [HOST]}, dropletIds=[UNKNOWN])], True),
        (
            [
                Made("urn:host", rules.DROPLET, {"tags": [UNKNOWN]}, {"tags": [TAG]}),
                firewall({"tags": [TAG]}, tags=[UNKNOWN]),
            ],
            True,
        ),
        ([firewall(tags=["origin"])], True),
        ([HOST], False),
        ([HOST, firewall(tags=["others"])], False),
        ([HOST, firewall(tags=[UNKNOWN])], False),
        ([HOST, firewall({"dropletIds": [EC2]}, dropletIds=[UNKNOWN])], False),
    ],
)
def test_droplets_and_their_firewalls(stack: list[Made], held: bool) -> None:
    assert [urn for urn, _ in rules.firewalls(stack)] == ([] if held else ["urn:host"])
