"""The cloud's firewall: nftables in the router, between the internet and each machine, outside the machine's reach.

As at DigitalOcean and AWS: no firewall attached, everything is open; one attached, what no rule admits is dropped
without an answer, in both directions; replies and errors of admitted connections pass.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rehearsal.cloud import network
from rehearsal.cloud.world import World

Protocol = Literal["tcp", "udp", "icmp", "any"]
EVERYWHERE = ("0.0.0.0/0", "::/0")
COLLECTION = "firewalls"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Admits a protocol from (inbound) or to (outbound) networks.

    ports: first and last, both included; None is all of them. "icmp" is ICMPv6 for the networks that are IPv6.
    networks: CIDRs or addresses of both families.
    """

    protocol: Protocol
    ports: tuple[int, int] | None = None
    networks: tuple[str, ...] = EVERYWHERE


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What an attached firewall admits; everything else is dropped."""

    inbound: tuple[Rule, ...] = ()
    outbound: tuple[Rule, ...] = ()


def apply(world: World, machine_id: str, rules: Rules | None) -> None:
    """Replaces the machine's rules in one step; None: no firewall is attached. Raises ValueError for an odd network."""
    if rules is None:
        world.store.delete(COLLECTION, machine_id)
    else:
        _chains(machine_id, rules)  # refuses before it is kept
        world.store.put(COLLECTION, machine_id, asdict(rules))
    load(world)


def load(world: World) -> None:
    """Makes the router's rules what the store says, whole or not at all: no packet ever meets half of them.

    Without a router, ground.ensure does it later.
    """
    with world.lock("firewall"):
        if world.namespace(network.ROUTER) not in network.existing(world):
            return
        attached = {id: _rules(stored) for id, stored in world.store.items(COLLECTION).items()}
        network.exec_in(world, network.ROUTER, ["nft", "-f", "-"], input=ruleset(attached), text=True, check=True)


def device(machine_id: str) -> str:
    """The router's interface towards a machine: a name of at most 15 bytes."""
    return "m" + hashlib.sha256(machine_id.encode()).hexdigest()[:12]


def ruleset(attached: dict[str, Rules]) -> str:
    """The router's whole nftables ruleset."""
    chains = "".join(_chains(id, rules) for id, rules in attached.items())
    inbound = ", ".join(f'"{device(id)}" : jump in-{device(id)}' for id in attached)
    outbound = ", ".join(f'"{device(id)}" : jump out-{device(id)}' for id in attached)
    jump_in = f"oifname vmap {{ {inbound} }}" if attached else ""
    jump_out = f"iifname vmap {{ {outbound} }}" if attached else ""
    return f"""\
table inet cloud
delete table inet cloud
table inet cloud {{
  # A source address is believed only where it belongs.
  chain no-spoofing {{
    type filter hook prerouting priority raw
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    fib saddr . iif oif missing drop
  }}
{chains}  # The neighbour protocol is the network's own: clouds do not filter it.
  chain forward {{
    type filter hook forward priority filter
    ct state established,related accept
    {jump_out}
    {jump_in}
  }}
  chain to-router {{
    type filter hook input priority filter
    ct state established,related accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    {jump_out}
  }}
  chain from-router {{
    type filter hook output priority filter
    ct state established,related accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }} accept
    {jump_in}
  }}
}}
"""


def _chains(machine_id: str, rules: Rules) -> str:
    name = device(machine_id)
    return _chain(f"in-{name}", rules.inbound, "saddr") + _chain(f"out-{name}", rules.outbound, "daddr")


def _chain(name: str, rules: Sequence[Rule], side: str) -> str:
    # `return` and not `accept`: a packet between two machines has to pass the second one's chain too.
    lines = "".join(f"    {match} return\n" for rule in rules for match in _matches(rule, side))
    return f"  chain {name} {{\n{lines}    drop\n  }}\n"


def _matches(rule: Rule, side: str) -> list[str]:
    networks = [ipaddress.ip_network(network) for network in rule.networks]
    v4 = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    v6 = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    matches = []
    # Collapsed, because overlapping elements are an error in an nft set.
    for family, collapsed in (("ip", ipaddress.collapse_addresses(v4)), ("ip6", ipaddress.collapse_addresses(v6))):
        if elements := ", ".join(map(str, collapsed)):
            matches.append(f"{family} {side} {{ {elements} }} {_protocol(rule, family)}".rstrip())
    return matches


def _protocol(rule: Rule, family: str) -> str:
    if rule.protocol == "any":
        return ""
    if rule.protocol == "icmp":
        return "meta l4proto icmp" if family == "ip" else "meta l4proto ipv6-icmp"
    if rule.ports is None:
        return f"meta l4proto {rule.protocol}"
    return f"{rule.protocol} dport {rule.ports[0]}-{rule.ports[1]}"


def _rules(stored: dict[str, Any]) -> Rules:
    def rules(items: Sequence[dict[str, Any]]) -> tuple[Rule, ...]:
        return tuple(
            Rule(
                protocol=item["protocol"],
                ports=tuple(item["ports"]) if item["ports"] else None,
                networks=tuple(item["networks"]),
            )
            for item in items
        )

    return Rules(inbound=rules(stored["inbound"]), outbound=rules(stored["outbound"]))
