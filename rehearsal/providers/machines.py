"""Booting the machines behind droplets and instances, with what goes wrong said as an API would."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence

from rehearsal.cloud import machine
from rehearsal.cloud.world import World, WorldFailed
from rehearsal.providers.base import ApiError


def boot(
    world: World, id: str, addresses: machine.Addresses, *, hostname: str, user_data: str, public_keys: Sequence[str]
) -> None:
    """Makes a machine and switches it on; raises ApiError."""
    with _plainly(id):
        machine.create(
            world,
            id,
            hostname=hostname,
            user_data=user_data,
            public_keys=public_keys,
            ipv4=addresses.ipv4,
            ipv6=addresses.ipv6 or None,
        )


def stop_and_start(world: World, id: str, *, ipv4: str | None = None) -> None:
    """As a resize does, with another public IPv4 address if one is given; raises ApiError."""
    with _plainly(id):
        machine.power_off(world, id)
        if ipv4:
            machine.move(world, id, ipv4)
        machine.power_on(world, id)


def whole(world: World, id: str) -> bool:
    """Whether the machine was made to its end."""
    return (world.store.get(machine.COLLECTION, id) or {}).get("state") == "present"


@contextlib.contextmanager
def _plainly(id: str) -> Iterator[None]:
    try:
        yield
    except (WorldFailed, ValueError, OSError, subprocess.CalledProcessError) as failed:
        raise ApiError(f"The stand-in cloud could not start {id}: {failed}") from failed
