"""Addresses of machines: inside the rehearsal's networks, no two alike."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

import pytest

from rehearsal.cloud import machine
from rehearsal.cloud.world import World


def take(world: World, cloud: Literal["digitalocean", "aws"], id: str) -> machine.Addresses:
    found = machine.addresses(world, cloud)
    world.store.put(machine.COLLECTION, id, {"ipv4": found.ipv4, "ipv6": found.ipv6})
    return found


def test_every_machine_has_subnets_of_its_own_until_none_is_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    taken = [take(world, cloud, f"{cloud}-{n}") for cloud in ("digitalocean", "aws") for n in range(126)]
    for family, length, whole in (("ipv4", 24, "198.19.0.0/16"), ("ipv6", 64, "2001:db8::/32")):
        nets = {ipaddress.ip_interface(f"{getattr(found, family)}/{length}").network for found in taken}
        assert len(nets) == 252
        assert all(net.subnet_of(ipaddress.ip_network(whole)) for net in nets)  # type: ignore[arg-type]
    with pytest.raises(machine.MachineFailed, match="no address left"):
        machine.addresses(world, "aws")


def test_an_address_is_free_again_once_its_machine_is_gone_but_not_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = take(world, "digitalocean", "first")
    world.store.delete(machine.COLLECTION, "first")
    assert machine.addresses(world, "digitalocean") != first
    for n in range(124):
        take(world, "digitalocean", str(n))
    assert machine.addresses(world, "digitalocean") == first
