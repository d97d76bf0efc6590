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

from rehearsal.cloud.world import World, WorldFailed

ROUTER = "inet"
DNS = ("198.18.0.53", "2001:db8::53")
MIRROR = "198.18.0.80"
EDGE_RANGES_V4 = tuple(f"198.18.{n}.0/24" for n in range(16, 31))
EDGE_RANGES_V6 = tuple(f"2001:db8:cf{n:02x}::/48" for n in range(7))


class NetworkFailed(WorldFailed):
    """A namespace could not be set up; the message has the tool's words."""


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
    with world.lock("network"):
        if world.namespace(ROUTER) not in existing(world):
            _add_namespace(world, ROUTER)
        _settings(
            world,
            ROUTER,
            {
                "net.ipv4.ip_forward": 1,
                "net.ipv6.conf.all.forwarding": 1,
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
        for place in PLACES.values():
            attach(world, place, device=place.name)
            resolver = Path("/etc/netns") / world.namespace(place.name) / "resolv.conf"
            resolver.parent.mkdir(parents=True, exist_ok=True)
            resolver.write_text(resolv_conf())


def attach(world: World, place: Place, *, device: str) -> None:
    """Makes a namespace with a cable to the router, where it is called `device`, or completes what is there."""
    if world.namespace(place.name) not in existing(world):
        _add_namespace(world, place.name)
    cable = ["link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", world.namespace(place.name)]
    # Fails when the cable is there already; when it failed for another reason, the next step says so.
    subprocess.run(["ip", "-netns", world.namespace(ROUTER), *cable], check=False, capture_output=True)
    # nodad: no waiting for an answer from somebody who has the same address.
    _ip(
        world,
        ROUTER,
        [
            *(f"address replace {address} dev {device} nodad" for address in place.router_addresses),
            f"link set {device} up",
        ],
    )
    _ip(
        world,
        place.name,
        [
            "link set lo up",
            *(f"address replace {address} dev eth0 nodad" for address in (place.ipv4, place.ipv6) if address),
            "link set eth0 up",
            *(f"route replace default via {address.partition('/')[0]}" for address in place.router_addresses),
        ],
    )


def detach(world: World, name: str) -> None:
    """Removes a place's or machine's namespace, its cable with it. Already gone is fine."""
    # The cable by itself, as the kernel keeps a namespace (and what it answers) until it gets round to its end.
    subprocess.run(["ip", "-netns", world.namespace(name), "link", "delete", "eth0"], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "delete", world.namespace(name)], check=False, capture_output=True)


def remove(world: World) -> None:
    """Removes every namespace of the world, machines' ones too, found by its tag. Already gone is fine."""
    for namespace in existing(world):
        detach(world, namespace.removeprefix(world.namespace("")))
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
    done = exec_in(world, place, ["sh", "-ec", "\n".join(lines)], capture_output=True, text=True)
    if done.returncode:
        raise NetworkFailed(f"{world.namespace(place)}: {done.stderr.strip()}")


def _ip(world: World, place: str, commands: Sequence[str]) -> None:
    done = subprocess.run(
        ["ip", "-netns", world.namespace(place), "-batch", "-"],
        input="\n".join(commands) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise NetworkFailed(f"{world.namespace(place)}: {done.stderr.strip()}")
