"""The world as a whole: laid before the first machine, and removed to the last process."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

from rehearsal.cloud import daemon, firewall, image, machine, mirror, network
from rehearsal.cloud.world import RUNTIME, World


def ensure(world: World, progress: image.Progress = lambda _: None) -> None:
    """Image, network, firewall and mirror; then the machines that a killed command or a restart left.

    A second when the image is there. Only for a caller that nobody else changes the world beside.
    """
    built = image.ensure(world.cache, progress)
    network.ensure(world)
    firewall.load(world)
    mirror.ensure(world, built)
    machine.resume(world, progress)


def remove(world: World) -> None:
    """Removes everything of the world from this host, found by its tag even when its store is lost.

    Processes, namespaces, mounts, machines' disks, sockets. What others keep in the store stays. Nothing there is fine.
    """
    daemon.kill(daemon.cgroup(world))
    network.remove(world)
    machine.forget(world.namespace("*"))
    for mount in reversed(_mounts_below(world.root)):
        subprocess.run(["umount", "--lazy", str(mount)], check=False, capture_output=True)
    for folder in (world.root / "machines", world.runtime):
        shutil.rmtree(folder, ignore_errors=True)
    for collection in (machine.COLLECTION, firewall.COLLECTION):
        for id in world.store.items(collection):
            world.store.delete(collection, id)
    for shared in (daemon.cgroup(world).parent, daemon.cgroup_root().with_name("systemd") / "flask-origin", RUNTIME):
        with contextlib.suppress(OSError):  # another world is in it
            shared.rmdir()


def _mounts_below(folder: Path) -> list[Path]:
    """Mount points at or below a folder, outer ones first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in lines]
    return sorted(point for point in points if point.is_relative_to(folder))
