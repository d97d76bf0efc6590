"""Which security groups guard which instances, made into rules of the stand-in network."""

from __future__ import annotations

from typing import Any, Final

from rehearsal.cloud import firewall
from rehearsal.cloud.world import World
from rehearsal.providers.aws import network

INSTANCES: Final = "aws/instances"  # {id: {groups, ipv4, ipv6, …}}


def apply(world: World) -> None:
    """Brings every instance's rules up to date. An instance always has a group, so it is always filtered."""
    with world.lock("aws-protection"):
        instances = world.store.items(INSTANCES)
        facts: dict[str, list[dict[str, Any]]] = {
            id: group["rules"] for id, group in world.store.items(network.GROUPS).items()
        }
        for id, instance in instances.items():
            mine = [fact for group in instance["groups"] for fact in facts.get(group, ())]
            inbound, outbound = (
                tuple(_rule(fact, instances) for fact in mine if fact["direction"] == direction)
                for direction in ("inbound", "outbound")
            )
            firewall.apply(world, id, firewall.Rules(inbound=inbound, outbound=outbound))


def ports(protocol: str, first: int | None, last: int | None) -> list[int] | None:
    """The range that a rule is for; None is all of them, and what it is for protocols without ports."""
    return (
        [first, last]
        if protocol.lower() in ("tcp", "6", "udp", "17") and first is not None and last is not None
        else None
    )


def _rule(fact: dict[str, Any], instances: dict[str, dict[str, Any]]) -> firewall.Rule:
    if fact.get("network"):
        networks = [fact["network"]]
    else:
        members = [instance for instance in instances.values() if fact["group"] in instance["groups"]]
        networks = [address for member in members for address in (member["ipv4"], member["ipv6"]) if address]
    return firewall.Rule(
        protocol=fact["protocol"],
        ports=tuple(fact["ports"]) if fact["ports"] else None,
        networks=tuple(networks),
    )
