"""Which firewalls guard which droplets, made into rules of the stand-in network."""

from __future__ import annotations

from typing import Any, Final

from rehearsal.cloud import firewall
from rehearsal.cloud.world import World

DROPLETS: Final = "digitalocean/droplets"  # {id: {tags, ipv4, ipv6, …}}
FIREWALLS: Final = "digitalocean/firewalls"  # {id: {tags, droplet_ids, inbound, outbound, …}}


def apply(world: World) -> None:
    """Brings every droplet's rules up to date: the sum of its firewalls', or none when it has no firewall."""
    with world.lock("digitalocean-protection"):
        droplets = world.store.items(DROPLETS)
        firewalls = list(world.store.items(FIREWALLS).values())
        for id, droplet in droplets.items():
            firewall.apply(world, machine_id(id), _rules(id, droplet, firewalls, droplets))


def machine_id(droplet_id: str) -> str:
    """The name of a droplet's machine in the stand-in cloud."""
    return f"droplet-{droplet_id}"


def _rules(
    id: str, droplet: dict[str, Any], firewalls: list[dict[str, Any]], droplets: dict[str, dict[str, Any]]
) -> firewall.Rules | None:
    mine = [kept for kept in firewalls if int(id) in kept["droplet_ids"] or set(droplet["tags"]) & set(kept["tags"])]
    if not mine:
        return None
    inbound, outbound = (
        tuple(_rule(rule, droplets) for kept in mine for rule in kept[direction])
        for direction in ("inbound", "outbound")
    )
    return firewall.Rules(inbound=inbound, outbound=outbound)


def _rule(rule: dict[str, Any], droplets: dict[str, dict[str, Any]]) -> firewall.Rule:
    peers = [
        address
        for id, droplet in droplets.items()
        if int(id) in rule["droplet_ids"] or set(droplet["tags"]) & set(rule["tags"])
        for address in (droplet["ipv4"], droplet["ipv6"])
        if address
    ]
    return firewall.Rule(
        protocol=rule["protocol"],
        ports=tuple(rule["ports"]) if rule["ports"] else None,
        networks=tuple(dict.fromkeys([*rule["addresses"], *peers])),
    )
