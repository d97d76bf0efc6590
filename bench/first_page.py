"""From switching a machine on to the first page through the edge: this program, and the script people write first.

Both get the same kind of machine, the same mirror with all packages kept, the same app and the same edge.
"""

from __future__ import annotations

import time
from typing import Any

from bench import naive, worlds
from bench.measure import PROJECT, Comparison, in_turn, reported
from rehearsal.cloud import edge, ground, machine
from rehearsal.cloud.world import World
from rehearsal.providers.cloudflare import zones

HOSTNAME, HEALTH = "example.com", "/health"


def measure(rounds: int) -> tuple[list[Comparison], list[dict[str, Any]]]:
    """The comparison, and what was seen of each of our runs (see up_once)."""
    seen: list[dict[str, Any]] = []

    def ours() -> float:
        seen.append(origin())
        (droplet,) = [step for step in seen[-1]["steps"] if step["type"] == "digitalocean:index/droplet:Droplet"]
        return seen[-1]["marks"]["first page"] - droplet["begin"]

    pairs = in_turn(rounds, ours, naively)
    comparison = Comparison(
        id="first-page",
        title="Machine start to the first page through the edge",
        unit="s",
        ours="flask-origin",
        theirs="naive script",
        pairs=pairs,
        aim=0.2,
    )
    return [comparison], seen


def origin(*, keep: bool = False) -> dict[str, Any]:
    """One `up` of the dev stack from nothing."""
    home = worlds.home(worlds.ORIGIN)
    worlds.remove(World(home / "dev"))
    try:
        return reported("bench.up_once", timeout=900, REHEARSAL_HOME=str(home))
    finally:
        if not keep:
            worlds.remove(World(home / "dev"))


def naively() -> float:
    """Seconds that the naive machine takes. Its records are there from the start, and the zone's mode is "full"."""
    world = World(worlds.home(worlds.NAIVE) / "dev")
    worlds.remove(world)
    world = World(world.root)
    try:
        ground.ensure(world)
        zone = zones.seed_zone(world, HOSTNAME)
        found = machine.addresses(world, "digitalocean")
        for type, content in (("A", found.ipv4), ("AAAA", found.ipv6)):
            record = {"zone_id": zone, "name": HOSTNAME, "type": type, "content": content, "proxied": True, "ttl": 1}
            world.store.put("cloudflare/records", type.lower(), record)
        edge.apply(world)
        script = naive.user_data(PROJECT / "examples/hello", entrypoint="hello:app", hostname=HOSTNAME)
        with worlds.visitor(world, HOSTNAME, HEALTH) as visitor:
            began = time.monotonic()
            machine.create(
                world,
                "naive",
                hostname="naive",
                user_data=script,
                public_keys=[],
                ipv4=found.ipv4,
                ipv6=found.ipv6,
            )
            seen, _ = visitor.communicate(timeout=worlds.WAIT + 30)
        return float(seen) - began
    finally:
        worlds.remove(world)
