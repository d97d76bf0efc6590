"""What a stack around an origin is refused for: plain functions of a resource's properties, one problem a line.

Properties are named as the providers name them (camelCase). In a preview some are not known yet: those are UNKNOWN
here and break no rule; `up` asks again when they are known, before the resource is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from settings.fields import WIDEST

Network = IPv4Network | IPv6Network
Properties = Mapping[str, Any]

UNKNOWN: Final = object()
"""In place of a value that only `up` will know."""

SSH = 22
_EVERY_PORT = (0, 65535)
_EVERY_PROTOCOL = {"-1", "all"}
_PING = {"icmp", "icmpv6", "1", "58"}
_TCP = {"tcp", "6", *_EVERY_PROTOCOL}

DROPLET = "digitalocean:index/droplet:Droplet"
FIREWALL = "digitalocean:index/firewall:Firewall"
INSTANCE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
SECURITY_GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"
ZONE_SETTING = "cloudflare:index/zoneSetting:ZoneSetting"

_ADDRESSES = {
    DROPLET: ("ipv4Address", "ipv6Address"),
    "digitalocean:index/reservedIp:ReservedIp": ("ipAddress",),
    INSTANCE: ("publicIp", "ipv6Addresses"),
    "aws:ec2/eip:Eip": ("publicIp",),
}
"""The properties with which a host, or an address that is given to one, is reached."""


@dataclass(frozen=True)
class Opening:
    """One way in. A source is a network, UNKNOWN, or the name of something that is no range of addresses."""

    protocol: str
    ports: tuple[int, int]
    sources: Sequence[object]

    def __str__(self) -> str:
        low, high = self.ports
        protocol = "any" if self.protocol in _EVERY_PROTOCOL else self.protocol
        return f"{low}/{protocol}" if low == high else f"{low}-{high}/{protocol}"


def openings(type_: str, properties: Properties) -> Iterator[Opening]:
    """What a firewall or a rule of one lets in, of TCP and UDP."""
    for rule in _inbound(type_, properties):
        protocol = rule.get("protocol", rule.get("ipProtocol", "-1"))
        if protocol in _PING or (ports := _ports(protocol, rule)) is None:
            continue
        yield Opening(str(protocol) if protocol is not UNKNOWN else "any", ports, list(_sources(rule)))


def _inbound(type_: str, properties: Properties) -> Sequence[Properties]:
    if type_ == FIREWALL:
        rules = _listed(properties.get("inboundRules"))
    elif type_ == SECURITY_GROUP:
        rules = _listed(properties.get("ingress"))
    else:
        rules = [] if properties.get("type") == "egress" else [properties]
    return [rule for rule in rules if isinstance(rule, Mapping)]


def _ports(protocol: object, rule: Properties) -> tuple[int, int] | None:
    """First and last port; None when they are not known."""
    if protocol in _EVERY_PROTOCOL:
        return _EVERY_PORT
    if "portRange" in rule:
        written = rule["portRange"]
        if written is UNKNOWN:
            return None
        if written in {"all", "0"}:
            return _EVERY_PORT
        low, _, high = str(written).partition("-")
        return int(low), int(high or low)
    low, high = rule.get("fromPort"), rule.get("toPort")
    if UNKNOWN in (low, high):
        return None
    return _EVERY_PORT if low is None or high is None else (int(low), int(high))


def _sources(rule: Properties) -> Iterator[object]:
    for key in ("sourceAddresses", "cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6"):
        for text in _listed(rule.get(key)):
            yield text if text is UNKNOWN else ip_network(str(text), strict=False)
    for key, what in (
        ("sourceDropletIds", "droplets"),
        ("sourceKubernetesIds", "Kubernetes clusters"),
        ("sourceLoadBalancerUids", "load balancers"),
        ("sourceTags", "whatever carries a tag"),
        ("securityGroups", "security groups"),
        ("sourceSecurityGroupId", "a security group"),
        ("referencedSecurityGroupId", "a security group"),
        ("self", "its own security group"),
        ("prefixListIds", "prefix lists"),
        ("prefixListId", "a prefix list"),
    ):
        if rule.get(key):
            yield what


def _listed(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def web(type_: str, properties: Properties, cloudflare: Sequence[str]) -> Iterator[str]:
    """Whatever is open, SSH apart, is open to Cloudflare's ranges alone."""
    ranges = [ip_network(cidr) for cidr in cloudflare]
    for opening in openings(type_, properties):
        if opening.ports == (SSH, SSH) and opening.protocol in {"tcp", "6"}:
            continue
        for source in opening.sources:
            if source is not UNKNOWN and not _within(source, ranges):
                yield f"{opening} is open to {source}; allowed: Cloudflare's ranges"


def _within(source: object, ranges: Sequence[Network]) -> bool:
    # subnet_of() refuses to compare the two families.
    return any(
        isinstance(source, type(network)) and source.subnet_of(network)  # pyright: ignore[reportArgumentType]
        for network in ranges
    )


def ssh(type_: str, properties: Properties) -> Iterator[str]:
    """SSH is open to the operator's own ranges, which are no wider than the settings take."""
    for opening in openings(type_, properties):
        low, high = opening.ports
        if not (low <= SSH <= high and opening.protocol in _TCP):
            continue
        for source in opening.sources:
            if isinstance(source, Network) and source.prefixlen < WIDEST[source.version]:
                widest = f"ranges up to /{WIDEST[4]}, and /{WIDEST[6]} of IPv6"
                yield f"SSH is open to {source}; allowed: {widest}; do: name the operator's own"


def metadata(type_: str, properties: Properties) -> Iterator[str]:
    """The instance's credentials are given out to version 2 requests from the instance itself alone."""
    options = _section(properties.get("metadataOptions"))
    if options is None or options.get("httpEndpoint") == "disabled":
        return
    if options.get("httpTokens") not in ("required", UNKNOWN):
        yield 'metadataOptions.httpTokens is not "required": whoever makes the app fetch an address gets credentials'
    if options.get("httpPutResponseHopLimit") not in (1, UNKNOWN):
        yield "metadataOptions.httpPutResponseHopLimit is not 1: containers on the instance get its credentials"


def disks(type_: str, properties: Properties) -> Iterator[str]:
    """Every disk that is made is encrypted."""
    if type_ == VOLUME:
        made: dict[str, object] = {"it": properties}
    else:
        extra = _listed(properties.get("ebsBlockDevices"))
        made = {"rootBlockDevice": properties.get("rootBlockDevice")}
        made |= {f"ebsBlockDevices[{index}]": disk for index, disk in enumerate(extra)}
    for name, disk in made.items():
        if (written := _section(disk)) is not None and written.get("encrypted") not in (True, UNKNOWN):
            yield f"{name} is not encrypted; do: set encrypted"


def _section(value: object) -> Properties | None:
    """A section's properties, none where it is not written; None when it is not known."""
    return None if value is UNKNOWN else value if isinstance(value, Mapping) else {}


_ZONE_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    # origin_pull is strict and https only. https://developers.cloudflare.com/ssl/origin-configuration/ssl-modes/
    "ssl": ("strict", "origin_pull"),
    "ssl_automatic_mode": ("custom",),
    "min_tls_version": ("1.2", "1.3"),
    "always_use_https": ("on",),
}


def zone(type_: str, properties: Properties) -> Iterator[str]:
    """Full (strict), https alone, TLS 1.2 or newer."""
    setting, value = properties.get("settingId"), properties.get("value")
    if setting is UNKNOWN or value is UNKNOWN or setting not in _ZONE_SETTINGS:
        return
    if value not in (allowed := _ZONE_SETTINGS[str(setting)]):
        yield f'{setting} is "{value}"; allowed: {", ".join(allowed)}'


@dataclass(frozen=True)
class Made:
    """A resource of a whole stack, and the resources that each of its properties was computed from."""

    urn: str
    type: str
    properties: Properties
    depends: Mapping[str, Sequence[Made]] = field(default_factory=dict)

    def comes_from(self, key: str, urns: Iterable[str]) -> bool:
        return not {made.urn for made in self.depends.get(key, ())}.isdisjoint(urns)


Problem = tuple[str, str]
"""URN and text."""


def records(stack: Sequence[Made]) -> Iterator[Problem]:
    """No record tells where the host is."""
    hosts = {made.urn for made in stack if made.type in _ADDRESSES}
    addresses = {
        address
        for made in stack
        for key in _ADDRESSES.get(made.type, ())
        for address in _listed(made.properties.get(key))
        if address is not UNKNOWN
    }
    for made in stack:
        written = made.properties
        if made.type != RECORD or written.get("type") not in ("A", "AAAA") or written.get("proxied") in (True, UNKNOWN):
            continue
        content = written.get("content")
        if content in addresses or (content is UNKNOWN and made.comes_from("content", hosts)):
            yield made.urn, f"{written.get('name')} points at the host and is not proxied; do: set proxied"


def firewalls(stack: Sequence[Made]) -> Iterator[Problem]:
    """Every droplet is behind a firewall, by its id or by a tag that both carry."""
    held = [made for made in stack if made.type == FIREWALL]
    for made in stack:
        if made.type == DROPLET and not any(_holds(firewall, made) for firewall in held):
            yield made.urn, "this droplet is behind no firewall; do: name its id or one of its tags in a firewall"


def _holds(firewall: Made, droplet: Made) -> bool:
    if firewall.comes_from("dropletIds", [droplet.urn]):
        return True
    # A tag's name may be UNKNOWN in a preview, of both: then they are told by the tag they come from.
    tags = {tag for tag in _listed(firewall.properties.get("tags")) if tag is not UNKNOWN}
    if not tags.isdisjoint(_listed(droplet.properties.get("tags"))):
        return True
    return firewall.comes_from("tags", [tag.urn for tag in droplet.depends.get("tags", ())])
