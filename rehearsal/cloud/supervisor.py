"""The power supply of one machine: a process of its own that boots it, and boots it again when it reboots.

    python -m rehearsal.cloud.supervisor <world> <cache> <machine id>

Outlives the command that started it. Ends when the machine powers itself off; being switched off kills it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rehearsal.cloud import daemon, firewall, image, machine, network
from rehearsal.cloud.world import World

REBOOT = 133
"""systemd-nspawn's exit status when what it ran asked for a reboot."""

# In a mount namespace of its own, so that the disk's mount goes with the last process whatever ends it. `volatile`: no
# waiting for the host's disk; its mark of an unclean end is removed, as only a crash of the host would lose anything.
_BOOT = """
echo $$ > "$CGROUP/cgroup.procs"
rm -rf "$DISK/work/work/incompat"
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$DISK/upper,workdir=$DISK/work,volatile" "$DISK/root"
exec systemd-nspawn "$@"
"""


def supervise(world: World, id: str) -> None:
    """Runs the machine until it powers itself off."""
    described = machine.describe(world, id)
    disk = image.load(Path(described["image"]))
    with disk.lock.open() as lock:  # inherited by the machine, so that it holds the image even without us
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.set_inheritable(lock.fileno(), True)
        await_end(world, id)
        while (status := boot(world, id, described, disk)) == REBOOT:
            pass
    network.detach(world, machine.place(id, described).name)
    machine.ended(world, id).write_text(f"{status}\n")


def await_end(world: World, id: str) -> None:
    """Waits while the machine runs that an earlier supervisor started, whoever ended that one."""
    while daemon.running(world, machine.running_group(id)):
        time.sleep(1)


def boot(world: World, id: str, described: dict[str, Any], disk: image.Image) -> int:
    """One run of the machine, from power on to its end; gives systemd-nspawn's exit status."""
    group = daemon.cgroup(world, machine.running_group(id))
    daemon.kill(group)
    group.mkdir(parents=True)
    _delegate(group)
    # A new network namespace for each boot: rules and settings of the kernel's do not outlive a reboot.
    place = machine.place(id, described)
    network.detach(world, place.name)
    network.attach(world, place, device=firewall.device(id))
    folder = machine.folder(world, id)
    with (folder / "console.log").open("ab") as console:
        return subprocess.call(
            [
                *("unshare", "--mount", "--propagation", "slave", "sh", "-ec", _BOOT, "sh"),
                *("--quiet", "--boot", "--register=no", "--keep-unit", "--console=read-only"),
                *("--link-journal=no", "--resolv-conf=off", "--timezone=off"),
                f"--directory={folder}/root",
                f"--machine={world.namespace(id)}",
                f"--hostname={described['hostname']}",
                # Its network is its own, but nspawn gives this capability only with a network of nspawn's making.
                "--capability=CAP_NET_ADMIN",
                f"--network-namespace-path=/run/netns/{world.namespace(place.name)}",
            ],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                # Debian 13's systemd refuses the old cgroup hierarchy, which some hosts still have.
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                "CGROUP": str(group),
                "DISK": str(folder),
                "IMAGE": str(disk.root),
            },
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            close_fds=False,
        )


def _delegate(group: Path) -> None:
    """Lets limits of memory and tasks work in the machine, as far as the host has them in this hierarchy."""
    for parent in reversed(group.relative_to(daemon.cgroup_root()).parents):
        above = daemon.cgroup_root() / parent
        for controller in (above / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # in use by the host in another way
                (above / "cgroup.subtree_control").write_text(f"+{controller}")


if __name__ == "__main__":
    supervise(World(Path(sys.argv[1]), Path(sys.argv[2])), sys.argv[3])
