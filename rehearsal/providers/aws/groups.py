"""aws:ec2:SecurityGroup and the rules of aws:vpc that are resources of their own."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from rehearsal.providers.account import Stored
from rehearsal.providers.aws import catalog, network, protection
from rehearsal.providers.base import UNKNOWN, ApiError, Failure, Property, Props
from rehearsal.providers.shapes import as_list, each, known, not_rehearsed, physical_name

# In one direction and for one family of addresses.
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
MOST_RULES: Final = 60
_TEXT = re.compile(r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{0,255}")
_PROTOCOLS: Final = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp"} | {
    "icmpv6": "icmp",
    "58": "icmp",
    "-1": "any",
    "all": "any",
}
INLINE: Final = {
    "protocol": Property(required=True),
    "fromPort": Property(kind=int, required=True),
    "toPort": Property(kind=int, required=True),
    "cidrBlocks": Property(kind=list),
    "ipv6CidrBlocks": Property(kind=list),
    "securityGroups": Property(kind=list),
    "self": Property(kind=bool),
    "description": Property(),
    "prefixListIds": Property(kind=list),
}


class SecurityGroup(Stored):
    """Admits nothing and lets nothing out until rules say so: the provider takes AWS's own first rule away.

    Source: terraform-provider-aws v6, internal/service/ec2/vpc_security_group.go.
    """

    token = "aws:ec2/securityGroup:SecurityGroup"
    cloud = "aws"
    collection = network.GROUPS
    sets = ("ingress", "egress")
    refused = ("namePrefix",)
    inputs: ClassVar = {
        "name": Property(replace=True),
        "namePrefix": Property(replace=True),
        "description": Property(replace=True, default="Managed by Pulumi"),
        "vpcId": Property(replace=True),
        "ingress": Property(kind=list),
        "egress": Property(kind=list),
        "region": Property(replace=True),
        "revokeRulesOnDelete": Property(kind=bool, default=False),
        "tags": Property(kind=dict),
    }
    outputs: ClassVar = {"arn": Property(), "ownerId": Property(), "tagsAll": Property(kind=dict)}

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from catalog.odd_region(news)
        for name in ("name", "description"):
            if known(news.get(name)) and (not news[name] or not _TEXT.fullmatch(news[name])):
                yield Failure(name, "must be 1 to 255 of a-z, A-Z, 0-9, space and ._-:/()#,@[]+=&;{}!$*")
        if known(news.get("name")) and news["name"].startswith("sg-"):
            yield Failure("name", "invalid group name: it can't begin with 'sg-'")
        for name in ("ingress", "egress"):
            wrong = [*each(name, news.get(name), INLINE)]
            yield from wrong
            for index, rule in enumerate(() if wrong else as_list(news.get(name))):
                yield from _odd_inline(f"{name}[{index}]", rule)

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        region = catalog.region(inputs)
        known_vpcs = network.vpcs(self.world, region)
        vpc_id = inputs.get("vpcId") or next(id for id, vpc in known_vpcs.items() if vpc["default"])
        group = inputs.get("name") or physical_name(name)
        if vpc_id not in known_vpcs:
            raise ApiError(
                f"creating Security Group ({group}): InvalidVpcID.NotFound: The vpc ID '{vpc_id}' does not exist"
            )
        for kept in self.world.store.items(self.collection).values():
            if (kept["vpc_id"], kept["name"]) == (vpc_id, group):
                raise ApiError(
                    f"creating Security Group ({group}): InvalidGroup.Duplicate: The security group '{group}' already "
                    f"exists for VPC '{vpc_id}'"
                )
        id = f"sg-{secrets.token_hex(9)[:17]}"
        outputs = {
            "ingress": [],
            "egress": [],
            **inputs,
            "name": group,
            "vpcId": vpc_id,
            "region": region,
            "arn": catalog.arn("ec2", region, f"security-group/{id}"),
            "ownerId": catalog.ACCOUNT,
        }
        return id, self._put(id, outputs, (name, inputs), vpc_id=vpc_id, name=group, region=region)

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return self._put(id, {**old_outputs, "ingress": [], "egress": [], "tags": {}, **inputs})

    def _put(self, id: str, outputs: Props, made_from: tuple[str, Props] | None = None, **facts: Any) -> Props:
        inline = [
            *(fact for rule in outputs["ingress"] for fact in _inline(rule, "inbound", id)),
            *(fact for rule in outputs["egress"] for fact in _inline(rule, "outbound", id)),
        ]
        _refuse_too_many(inline)
        done = self._keep(id, {**outputs, "tagsAll": outputs.get("tags") or {}}, made_from, **facts, inline=inline)
        protection.apply(self.world)
        return done

    def _delete(self, id: str) -> None:
        users = [
            machine for machine, kept in self.world.store.items(protection.INSTANCES).items() if id in kept["groups"]
        ]
        named = [
            rule
            for rule, kept in self.world.store.items(protection.RULES).items()
            if kept["fact"].get("group") == id and kept["group_id"] != id
        ]
        if users or named:
            raise ApiError(
                f"deleting Security Group ({id}): DependencyViolation: resource {id} has a dependent object: "
                f"{', '.join(users + named)}"
            )
        for rule, kept in self.world.store.items(protection.RULES).items():
            if kept["group_id"] == id:
                self.world.store.delete(protection.RULES, rule)
        super()._delete(id)
        protection.apply(self.world)


class _Rule(Stored):
    """One rule: one protocol, one range of ports, one peer.

    Source: terraform-provider-aws v6, internal/service/ec2/vpc_security_group_ingress_rule.go.
    """

    cloud = "aws"
    collection = protection.RULES
    direction: ClassVar[str]
    refused = ("prefixListId",)
    inputs: ClassVar = {
        "securityGroupId": Property(required=True, replace=True),
        "ipProtocol": Property(required=True),
        "fromPort": Property(kind=int),
        "toPort": Property(kind=int),
        "cidrIpv4": Property(),
        "cidrIpv6": Property(),
        "referencedSecurityGroupId": Property(),
        "prefixListId": Property(),
        "description": Property(),
        "region": Property(replace=True),
        "tags": Property(kind=dict),
    }
    outputs: ClassVar = {"arn": Property(), "securityGroupRuleId": Property(), "tagsAll": Property(kind=dict)}

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from catalog.odd_region(news)
        yield from _odd_rule(news)

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        id, region = f"sgr-{secrets.token_hex(9)[:17]}", catalog.region(inputs)
        outputs = {
            **inputs,
            "region": region,
            "arn": catalog.arn("ec2", region, f"security-group-rule/{id}"),
            "securityGroupRuleId": id,
        }
        return id, self._put(id, outputs, (name, inputs))

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        kept = {name: old_outputs[name] for name in ("region", "arn", "securityGroupRuleId")}
        return self._put(id, {**kept, **inputs})

    def _put(self, id: str, outputs: Props, made_from: tuple[str, Props] | None = None) -> Props:
        group_id = outputs["securityGroupId"]
        for group in filter(None, (group_id, outputs.get("referencedSecurityGroupId"))):
            if self.world.store.get(network.GROUPS, group) is None:
                raise ApiError(f"InvalidGroup.NotFound: The security group '{group}' does not exist")
        fact = {
            "direction": self.direction,
            "protocol": _PROTOCOLS[outputs["ipProtocol"].lower()],
            "ports": protection.ports(outputs["ipProtocol"], outputs.get("fromPort"), outputs.get("toPort")),
            "network": outputs.get("cidrIpv4") or outputs.get("cidrIpv6"),
            "group": outputs.get("referencedSecurityGroupId"),
        }
        with self.world.lock("aws-groups"):
            others = [
                kept["fact"]
                for other, kept in self.world.store.items(self.collection).items()
                if kept["group_id"] == group_id and other != id
            ]
            if fact in others:
                raise ApiError(f'InvalidPermission.Duplicate: the specified rule "{_words(fact)}" already exists')
            group = self.world.store.get(network.GROUPS, group_id) or {}
            _refuse_too_many([fact, *others, *group.get("inline", ())])
            tags = outputs.get("tags") or {}
            done = self._keep(id, {**outputs, "tagsAll": tags}, made_from, group_id=group_id, fact=fact)
        protection.apply(self.world)
        return done

    def _delete(self, id: str) -> None:
        super()._delete(id)
        protection.apply(self.world)


class SecurityGroupIngressRule(_Rule):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    direction = "inbound"


class SecurityGroupEgressRule(_Rule):
    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    direction = "outbound"


def _inline(rule: Props, direction: str, group: str) -> Iterator[Props]:
    common = {
        "direction": direction,
        "protocol": _PROTOCOLS[rule["protocol"].lower()],
        "ports": protection.ports(rule["protocol"], rule["fromPort"], rule["toPort"]),
    }
    for cidr in [*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())]:
        yield {**common, "network": cidr, "group": None}
    for other in [*(rule.get("securityGroups") or ()), *([group] if rule.get("self") else ())]:
        yield {**common, "network": None, "group": other}


def _refuse_too_many(facts: list[Props]) -> None:
    for direction in ("inbound", "outbound"):
        for family in (4, 6):
            # A rule that names a group counts for both families.
            count = sum(
                fact["direction"] == direction
                and (not fact.get("network") or ipaddress.ip_network(fact["network"]).version == family)
                for fact in facts
            )
            if count > MOST_RULES:
                raise ApiError(
                    "RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been "
                    f"reached. ({MOST_RULES} {direction} for IPv{family})"
                )


def _words(fact: Props) -> str:
    ports = fact["ports"] or ("ALL", "ALL")
    peer = fact.get("network") or fact.get("group")
    return f"peer: {peer}, {fact['protocol'].upper()}, from port: {ports[0]}, to port: {ports[1]}, ALLOW"


def _odd_rule(news: Props) -> Iterator[Failure]:
    peers = [name for name in ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId") if news.get(name) is not None]
    if len(peers) != 1:
        wanted = "[cidr_ipv4,cidr_ipv6,prefix_list_id,referenced_security_group_id]"
        yield Failure("cidrIpv4", f"Exactly one of these attributes must be configured: {wanted}, not {len(peers)}")
    for name, family in (("cidrIpv4", ipaddress.IPv4Network), ("cidrIpv6", ipaddress.IPv6Network)):
        yield from _odd_network(name, news.get(name), family)
    yield from _odd_ports(news, "ipProtocol")
    if known(news.get("description")) and not _TEXT.fullmatch(news["description"]):
        yield Failure("description", "must be at most 255 of a-z, A-Z, 0-9, space and ._-:/()#,@[]+=&;{}!$*")


def _odd_inline(where: str, rule: Any) -> Iterator[Failure]:
    if not isinstance(rule, dict):
        return
    for failure in (*not_rehearsed(rule, ["prefixListIds"]), *_odd_ports(rule, "protocol")):
        yield Failure(f"{where}.{failure.property}", failure.reason)
    for name, family in (("cidrBlocks", ipaddress.IPv4Network), ("ipv6CidrBlocks", ipaddress.IPv6Network)):
        for cidr in as_list(rule.get(name)):
            yield from _odd_network(f"{where}.{name}", cidr, family)


def _odd_network(
    path: str, value: Any, family: type[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> Iterator[Failure]:
    if value is None or value is UNKNOWN:
        return
    if not isinstance(value, str):
        yield Failure(path, f"{value!r} is not a valid CIDR block")
        return
    try:
        family(value)
    except ValueError as odd:
        yield Failure(path, f"{value!r} is not a valid CIDR block: {odd}")


def _odd_ports(rule: Props, protocol_name: str) -> Iterator[Failure]:
    protocol, first, last = rule.get(protocol_name), rule.get("fromPort"), rule.get("toPort")
    if not known(protocol) or not isinstance(protocol, str):
        return
    if protocol.lower() not in _PROTOCOLS:
        yield Failure(protocol_name, f"{protocol!r} is not rehearsed, only {', '.join(_PROTOCOLS)}")
        return
    kind = _PROTOCOLS[protocol.lower()]
    if kind in ("tcp", "udp"):
        if not (isinstance(first, int) and isinstance(last, int)):
            if UNKNOWN not in (first, last):
                yield Failure("fromPort", f"fromPort and toPort are required for {protocol}")
        elif not 0 <= first <= last <= 65535:
            yield Failure("fromPort", f"Invalid TCP port range ({first}:{last})")
    elif kind == "any" and protocol_name == "ipProtocol" and (first is not None or last is not None):
        yield Failure("fromPort", f"must not be given when ipProtocol is {protocol!r}")
