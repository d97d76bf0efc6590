"""The default VPC and its subnets, and the invokes that find them: aws:ec2:getVpc, getSubnets, getSubnet."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Final

from rehearsal.cloud.world import World
from rehearsal.providers.account import authenticate
from rehearsal.providers.aws import catalog
from rehearsal.providers.base import ApiError, Function, Props

VPCS: Final = "aws/vpcs"
SUBNETS: Final = "aws/subnets"
GROUPS: Final = "aws/security_groups"  # {id: {rules: [{direction, protocol, ports, network | group}], …}}
_ZONES: Final = "abc"


def vpcs(world: World, region: str) -> dict[str, Props]:
    """The region's VPCs by id; the default one is made on first use."""
    _seed(world, region)
    return {id: vpc for id, vpc in world.store.items(VPCS).items() if vpc["region"] == region}


def subnets(world: World, region: str) -> dict[str, Props]:
    """The region's subnets by id."""
    _seed(world, region)
    return {id: subnet for id, subnet in world.store.items(SUBNETS).items() if subnet["region"] == region}


def default_group(vpc_id: str) -> str:
    """The id of a VPC's default security group."""
    return catalog.identifier("sg", "default", vpc_id)


class GetVpc(Function):
    token = "aws:ec2/getVpc:getVpc"

    def invoke(self, args: Props) -> Props:
        authenticate("aws")
        region = catalog.region(args)
        same = {"id": "id", "default": "default", "cidrBlock": "cidrBlock", "state": "state"}
        found = _matching(vpcs(self.world, region), args, same, _vpc_filter)
        id, vpc = _only(found, "EC2 VPC")
        return {**vpc, "id": id}


class GetSubnets(Function):
    token = "aws:ec2/getSubnets:getSubnets"

    def invoke(self, args: Props) -> Props:
        authenticate("aws")
        region = catalog.region(args)
        found = _matching(subnets(self.world, region), args, {}, _subnet_filter)
        return {"id": region, "region": region, "ids": list(found), "filters": args.get("filters") or [], "tags": {}}


class GetSubnet(Function):
    token = "aws:ec2/getSubnet:getSubnet"

    def invoke(self, args: Props) -> Props:
        authenticate("aws")
        region = catalog.region(args)
        same = {
            name: name
            for name in ("id", "availabilityZone", "cidrBlock", "defaultForAz", "ipv6CidrBlock", "state", "vpcId")
        }
        id, subnet = _only(_matching(subnets(self.world, region), args, same, _subnet_filter), "EC2 Subnet")
        return {**subnet, "id": id}


def _seed(world: World, region: str) -> None:
    vpc_id = catalog.identifier("vpc", "default", region)
    with world.lock("aws-network"):
        if world.store.get(VPCS, vpc_id) is not None:
            return
        # AWS's default VPCs have no IPv6 until their owner adds it; this owner has.
        networks = zip(
            _ZONES,
            ipaddress.ip_network("172.31.0.0/16").subnets(new_prefix=20),
            ipaddress.ip_network("2001:db8:a0:ff00::/56").subnets(new_prefix=64),
            strict=False,
        )
        for zone, ipv4, ipv6 in networks:
            id = catalog.identifier("subnet", "default", region, zone)
            world.store.put(
                SUBNETS,
                id,
                {
                    "region": region,
                    "vpcId": vpc_id,
                    "arn": catalog.arn("ec2", region, f"subnet/{id}"),
                    "availabilityZone": region + zone,
                    "cidrBlock": str(ipv4),
                    "ipv6CidrBlock": str(ipv6),
                    "ipv6Native": False,
                    "defaultForAz": True,
                    "mapPublicIpOnLaunch": True,
                    "assignIpv6AddressOnCreation": False,
                    "availableIpAddressCount": 4091,
                    "ownerId": catalog.ACCOUNT,
                    "state": "available",
                    "tags": {},
                },
            )
        group = default_group(vpc_id)
        facts = {"vpc_id": vpc_id, "name": "default", "region": region}
        world.store.put(GROUPS, group, {**facts, "rules": _default_rules(group), "outputs": {"id": group}})
        # The VPC last: it says that all of this is there.
        world.store.put(
            VPCS,
            vpc_id,
            {
                "region": region,
                "arn": catalog.arn("ec2", region, f"vpc/{vpc_id}"),
                "cidrBlock": "172.31.0.0/16",
                "cidrBlockAssociations": [],
                "default": True,
                "enableDnsHostnames": True,
                "enableDnsSupport": True,
                "enableNetworkAddressUsageMetrics": False,
                "instanceTenancy": "default",
                "ipv6CidrBlock": "2001:db8:a0:ff00::/56",
                "ipv6CidrBlockAssociations": [],
                "ownerId": catalog.ACCOUNT,
                "state": "available",
                "tags": {},
            },
        )


def _default_rules(group: str) -> list[Props]:
    every = {"protocol": "any", "ports": None}
    return [
        {**every, "direction": "inbound", "group": group},
        {**every, "direction": "outbound", "network": "0.0.0.0/0"},
        {**every, "direction": "outbound", "network": "::/0"},
    ]


def _vpc_filter(name: str, id: str, vpc: Props) -> str:
    names = {"vpc-id": id, "cidr": vpc["cidrBlock"], "state": vpc["state"], "is-default": str(vpc["default"]).lower()}
    return _of(names, name)


def _subnet_filter(name: str, id: str, subnet: Props) -> str:
    return _of(
        {
            "vpc-id": subnet["vpcId"],
            "subnet-id": id,
            "availability-zone": subnet["availabilityZone"],
            "default-for-az": str(subnet["defaultForAz"]).lower(),
            "map-public-ip-on-launch": str(subnet["mapPublicIpOnLaunch"]).lower(),
            "ipv6-native": str(subnet["ipv6Native"]).lower(),
            "cidr-block": subnet["cidrBlock"],
            "state": subnet["state"],
        },
        name,
    )


def _of(values: Mapping[str, str], name: str) -> str:
    if name not in values:
        raise ApiError(f"InvalidParameterValue: The filter {name!r} is invalid; rehearsed ones: {', '.join(values)}")
    return values[name]


def _matching(
    objects: dict[str, Props], args: Props, same: Mapping[str, str], filtered: Callable[[str, str, Props], str]
) -> dict[str, Props]:
    """Those that fit the arguments; an argument that is not rehearsed is refused."""
    for name, value in args.items():
        if value is not None and name not in {*same, "filters", "region", "tags"}:
            raise ApiError(f"{name} is not rehearsed; rehearsed ones: {', '.join([*same, 'filters'])}")

    def fits(id: str, it: Props) -> bool:
        given = {**it, "id": id}
        return all(args.get(name) in (None, given[field]) for name, field in same.items()) and all(
            filtered(wanted["name"], id, it) in wanted["values"] for wanted in args.get("filters") or ()
        )

    tagged = (args.get("tags") or {}).items()
    return {id: it for id, it in objects.items() if fits(id, it) and tagged <= it["tags"].items()}


def _only(found: dict[str, Any], what: str) -> tuple[str, Props]:
    if not found:
        raise ApiError(f"no matching {what} found")
    if len(found) > 1:
        raise ApiError(f"multiple {what}s matched; use additional constraints to reduce matches to a single {what}")
    return next(iter(found.items()))
