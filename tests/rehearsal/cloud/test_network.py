"""Cables and namespaces, whose end the kernel takes its time for."""

from __future__ import annotations

import subprocess

import pytest

from rehearsal.cloud import network
from rehearsal.cloud.world import World
from tests.rehearsal.cloud.standing import knock

pytestmark = pytest.mark.machines
PLACE = network.Place(name="held", ipv4="198.19.250.2/24", ipv6="2001:db8:d0:fa::2/64")


def test_a_place_is_gone_at_once_and_comes_back_while_the_kernel_keeps_its_old_namespace(world: World) -> None:
    network.attach(world, PLACE, device="held")
    # What is left of a killed machine keeps its namespace for a moment, longer on a busy host.
    argv = ["ip", "netns", "exec", world.namespace("held"), "sleep", "60"]
    keeper = subprocess.Popen(argv)
    try:
        assert knock(world, "operator", "198.19.250.2", 22) == "refused"
        network.detach(world, "held")
        assert knock(world, "operator", "198.19.250.2", 22) == "filtered"
        network.attach(world, PLACE, device="held")
        assert knock(world, "operator", "198.19.250.2", 22) == "refused"
        assert keeper.poll() is None, "the old one was kept all the while"
    finally:
        network.detach(world, "held")
        keeper.kill()
        keeper.wait()
