"""aws:ec2:SecurityGroup, which holds its rules itself."""

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
RULE: Final = {
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
        "vpcId": Property(replace=True, computed=True),
        "ingress": Property(kind=list, computed=True),
        "egress": Property(kind=list, computed=True),
        "region": Property(replace=True, computed=True),
        "revokeRulesOnDelete": Property(kind=bool, default=False),
        "tags": Property(kind=dict),
    }
    outputs: ClassVar = {"arn": Property(), "ownerId": Property(), "tagsAll": Property(kind=dict)}

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from catalog.odd_region(news)
        yield from catalog.odd_tags(news, "tags")
        for name in ("name", "description"):
            if known(news.get(name)) and (not news[name] or not _TEXT.fullmatch(news[name])):
                yield Failure(name, "must be 1 to 255 of a-z, A-Z, 0-9, space and ._-:/()#,@[]+=&;{}!$*")
        if known(news.get("name")) and news["name"].startswith("sg-"):
            yield Failure("name", "invalid group name: it can't begin with 'sg-'")
        for name in ("ingress", "egress"):
            wrong = [*each(name, news.get(name), RULE)]
            yield from wrong
            for index, rule in enumerate(() if wrong else as_list(news.get(name))):
                yield from _odd_rule(f"{name}[{index}]", rule)

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
        return self._put(id, {**old_outputs, "tags": {}, **inputs})

    def _put(self, id: str, outputs: Props, made_from: tuple[str, Props] | None = None, **facts: Any) -> Props:
        rules = [
            *(fact for rule in outputs["ingress"] for fact in _facts(rule, "inbound", id)),
            *(fact for rule in outputs["egress"] for fact in _facts(rule, "outbound", id)),
        ]
        for fact in rules:
            if fact["group"] and self.world.store.get(self.collection, fact["group"]) is None and fact["group"] != id:
                raise ApiError(f"InvalidGroup.NotFound: The security group '{fact['group']}' does not exist")
        if any(fact in rules[:index] for index, fact in enumerate(rules)):
            raise ApiError("InvalidParameterValue: The same permission must not appear multiple times")
        _refuse_too_many(rules)
        done = self._keep(id, {**outputs, "tagsAll": outputs.get("tags") or {}}, made_from, **facts, rules=rules)
        protection.apply(self.world)
        return done

    def _delete(self, id: str) -> None:
        users = [
            machine for machine, kept in self.world.store.items(protection.INSTANCES).items() if id in kept["groups"]
        ]
        named = [
            other
            for other, kept in self.world.store.items(self.collection).items()
            if other != id and any(fact.get("group") == id for fact in kept["rules"])
        ]
        if users or named:
            raise ApiError(
                f"deleting Security Group ({id}): DependencyViolation: resource {id} has a dependent object: "
                f"{', '.join(users + named)}"
            )
        super()._delete(id)


def _facts(rule: Props, direction: str, group: str) -> Iterator[Props]:
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


def _odd_rule(where: str, rule: Any) -> Iterator[Failure]:
    if not isinstance(rule, dict):
        return
    if not any(rule.get(peer) for peer in ("cidrBlocks", "ipv6CidrBlocks", "securityGroups", "self", "prefixListIds")):
        yield Failure(where, "names nobody: give cidrBlocks, ipv6CidrBlocks, securityGroups or self")
    if known(rule.get("description")) and not _TEXT.fullmatch(rule["description"]):
        yield Failure(f"{where}.description", "must be at most 255 of a-z, A-Z, 0-9, space and ._-:/()#,@[]+=&;{}!$*")
    for failure in (*not_rehearsed(rule, ["prefixListIds"]), *_odd_ports(rule)):
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


def _odd_ports(rule: Props) -> Iterator[Failure]:
    protocol, first, last = rule["protocol"], rule["fromPort"], rule["toPort"]
    if not known(protocol, first, last):
        return
    kind = _PROTOCOLS.get(protocol.lower())
    if kind is None:
        yield Failure("protocol", f"{protocol!r} is not rehearsed, only {', '.join(_PROTOCOLS)}")
    elif kind == "any" and (first, last) != (0, 0):
        yield Failure(
            "fromPort", f"from_port ({first}) and to_port ({last}) must both be 0 to use the 'ALL' \"-1\" protocol!"
        )
    elif kind in ("tcp", "udp") and not 0 <= first <= last <= 65535:
        yield Failure("fromPort", f"Invalid {kind.upper()} port range ({first}:{last})")
