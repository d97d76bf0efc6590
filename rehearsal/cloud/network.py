"""The rehearsal's internet: places to stand, joined by one router, all in network namespaces of the world.

Nothing leads out of them: no interface, no route, no address translation. What is not in the world can't be reached.

                 visitor  attacker  worker  operator  neighbour  edge
                     \\________\\_______\\_______/________/________/
                                router ("inet"): DNS, package mirror
                                   /              \\
                         198.19.<n>.0/24    …   one subnet for each machine

Addresses are from 198.18.0.0/15 (RFC 2544, benchmarks) and 2001:db8::/32 (RFC 3849, documentation).
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.cloud.world import World

ROUTER = "inet"
DNS = ("198.18.0.53", "2001:db8::53")
MIRROR = "198.18.0.80"
EDGE_RANGES_V4 = tuple(f"198.18.{n}.0/24" for n in range(16, 31))
EDGE_RANGES_V6 = tuple(f"2001:db8:cf{n:02x}::/48" for n in range(7))


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place to stand: addresses with prefix length; the router is the first address of each subnet."""

    name: str
    ipv4: str
    ipv6: str | None

    @property
    def router_addresses(self) -> list[str]:
        """The router's own addresses in the place's subnets, with prefix length."""
        networks = [ipaddress.ip_interface(address).network for address in (self.ipv4, self.ipv6) if address]
        return [f"{network.network_address + 1}/{network.prefixlen}" for network in networks]


PLACES = {
    place.name: place
    for place in (
        Place(name="edge", ipv4="198.18.16.10/24", ipv6="2001:db8:cf00::10/48"),
        Place(name="neighbour", ipv4="198.18.17.10/24", ipv6="2001:db8:cf01::10/48"),
        Place(name="visitor", ipv4="198.18.64.10/24", ipv6="2001:db8:64::10/64"),
        Place(name="attacker", ipv4="198.18.65.10/24", ipv6="2001:db8:65::10/64"),
        Place(name="worker", ipv4="198.18.66.10/24", ipv6="2001:db8:66::10/64"),
        Place(name="operator", ipv4="198.18.67.10/24", ipv6="2001:db8:67::10/64"),
    )
}


def ensure(world: World) -> None:
    """Makes the router and every place, or completes what is there. Takes about a second at first, then less."""
    from rehearsal.cloud import firewall  # it needs the router's name

    with world.lock("network"):
        namespaces = existing(world)
        fresh = world.namespace(ROUTER) not in namespaces
        if fresh:
            _add_namespace(world, ROUTER)
        _settings(
            world,
            ROUTER,
            {
                "net.ipv4.ip_forward": 1,
                "net.ipv6.conf.all.forwarding": 1,
                # A source address is believed only where it belongs, as in any cloud (v6: see the firewall).
                "net.ipv4.conf.all.rp_filter": 1,
                "net.ipv4.conf.default.rp_filter": 1,
            },
        )
        router_commands = [
            "link set lo up",
            *(f"address replace {address} dev lo" for address in (*DNS, MIRROR)),
            # A machine that is off answers nothing: its packets vanish instead of being refused by the router.
            "route replace blackhole 198.19.0.0/16",
            "route replace blackhole 2001:db8:d0::/48",
            "route replace blackhole 2001:db8:a0::/48",
        ]
        _ip(world, ROUTER, router_commands)
        firewall.load(world)
        for place in PLACES.values():
            if world.namespace(place.name) not in namespaces:
                _add_namespace(world, place.name)
            _ip(world, ROUTER, commands_on_router(world, place, device=place.name), force=True)
            _ip(world, place.name, commands_inside(place))
            resolver = Path("/etc/netns") / world.namespace(place.name) / "resolv.conf"
            resolver.parent.mkdir(parents=True, exist_ok=True)
            resolver.write_text(resolv_conf())


def remove(world: World) -> None:
    """Removes every namespace of the world, machines' ones too, found by its tag. Already gone is fine."""
    for namespace in existing(world):
        subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)
    for folder in Path("/etc/netns").glob(world.namespace("*")):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        Path("/etc/netns").rmdir()


def exec_in(world: World, place: str, argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[Any]:
    """Runs a command standing in a place, with the world's DNS; keywords go to subprocess.run."""
    return subprocess.run(["ip", "netns", "exec", world.namespace(place), *argv], **kwargs)


def existing(world: World) -> set[str]:
    """Namespaces of this world that are there now."""
    folder = Path("/run/netns")
    return {path.name for path in folder.glob(world.namespace("*"))} if folder.exists() else set()


def resolv_conf() -> str:
    return "".join(f"nameserver {address}\n" for address in DNS)


def commands_on_router(world: World, place: Place, *, device: str) -> list[str]:
    """`ip -batch` lines, for the router's namespace, that lay a cable to the place's namespace as its eth0.

    The first fails when the cable is there already, so these want `-force`.
    """
    return [
        f"link add {device} type veth peer name eth0 netns {world.namespace(place.name)}",
        *(f"address replace {address} dev {device} nodad" for address in place.router_addresses),
        f"link set {device} up",
    ]


def commands_inside(place: Place) -> list[str]:
    """`ip -batch` lines for the place's own namespace."""
    addresses = [address for address in (place.ipv4, place.ipv6) if address]
    gateways = [address.partition("/")[0] for address in place.router_addresses]
    return [
        "link set lo up",
        *(f"address replace {address} dev eth0 nodad" for address in addresses),
        "link set eth0 up",
        *(f"route replace default via {gateway}" for gateway in gateways),
    ]


def _add_namespace(world: World, place: str) -> None:
    subprocess.run(["ip", "netns", "add", world.namespace(place)], check=True)
    _settings(
        world,
        place,
        {
            # Some container engines switch IPv6 off for new namespaces.
            "net.ipv6.conf.all.disable_ipv6": 0,
            "net.ipv6.conf.default.disable_ipv6": 0,
            # Every address is ours: looking for a duplicate would only keep the first seconds' packets waiting.
            "net.ipv6.conf.default.accept_dad": 0,
            "net.ipv6.conf.default.dad_transmits": 0,
            "net.ipv6.conf.default.accept_ra": 0,
        },
    )


def _settings(world: World, place: str, settings: dict[str, int]) -> None:
    lines = [f"echo {value} > /proc/sys/{name.replace('.', '/')}" for name, value in settings.items()]
    exec_in(world, place, ["sh", "-ec", "\n".join(lines)], check=True)


def _ip(world: World, place: str, commands: Sequence[str], *, force: bool = False) -> None:
    options = ["-force"] if force else []
    done = subprocess.run(
        ["ip", "-netns", world.namespace(place), *options, "-batch", "-"],
        input="\n".join(commands) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode and not force:
        raise RuntimeError(f"{world.namespace(place)}: {done.stderr.strip()}")
