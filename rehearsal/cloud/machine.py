"""Droplets and instances: Debian machines booted by systemd-nspawn from the image, each on a disk of its own.

Each step of making or removing a machine is written to the store before it is taken: whenever a command is killed,
`resume` finds what it left and finishes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from rehearsal.cloud import daemon, firewall, image, network
from rehearsal.cloud.world import World, WorldFailed

COLLECTION = "machines"
Power = Literal["on", "off"]


class MachineFailed(WorldFailed):
    """A machine did not start, or is not in a state for what was asked; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """One machine's public addresses, without prefix length."""

    ipv4: str
    ipv6: str


def addresses(world: World, cloud: Literal["digitalocean", "aws"]) -> Addresses:
    """The next free addresses of a cloud: at most 126 machines each at a time."""
    taken = {described["ipv4"] for described in world.store.items(COLLECTION).values()}
    base, prefix = (0, "d0") if cloud == "digitalocean" else (128, "a0")
    for _ in range(126):
        n = (world.store.serial(f"addresses/{cloud}") - 1) % 126 + 1
        if f"198.19.{base + n}.2" not in taken:
            return Addresses(ipv4=f"198.19.{base + n}.2", ipv6=f"2001:db8:{prefix}:{n}::2")
    raise MachineFailed("The stand-in cloud has no address left: at most 126 machines of a cloud at a time")


def create(
    world: World,
    id: str,
    *,
    hostname: str,
    user_data: str,
    public_keys: Sequence[str],
    ipv4: str,
    ipv6: str | None,
    progress: image.Progress = lambda _: None,
) -> None:
    """Makes a machine and switches it on. Returns when it runs, while it still boots: cloud-init is not done then.

    id: lower-case letters, digits and hyphens. user_data: as given to the cloud, "" for none. public_keys: OpenSSH
    lines, which cloud-init gives to the default user. ipv4 and ipv6: addresses in a /24 and a /64 of their own.
    Raises MachineFailed, and ValueError for an id or a host name that can't be.
    """
    if not re.fullmatch(r"[a-z0-9-]{1,40}", id) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}", hostname):
        raise ValueError(f"A machine can't be called {id!r} with the host name {hostname!r}")
    if world.store.get(COLLECTION, id):
        raise ValueError(f"There is a machine {id} already")
    built = image.ensure(world.cache, progress)
    described: dict[str, Any] = {
        "state": "creating",
        "power": "on",
        "hostname": hostname,
        "ipv4": ipv4,
        "ipv6": ipv6,
        "image": str(built.folder),
    }
    world.store.put(COLLECTION, id, described)
    _make_disk(world, progress)
    for part in ("upper", "work", "root"):
        (folder(world, id) / part).mkdir(parents=True, exist_ok=True)
    _seed(folder(world, id) / "upper", id, hostname, user_data, public_keys)
    _start(world, id)
    world.store.put(COLLECTION, id, {**described, "state": "present"})


def power_off(world: World, id: str) -> None:
    """Cuts the power: nothing in the machine gets to know."""
    world.store.put(COLLECTION, id, {**describe(world, id), "power": "off"})
    daemon.stop(world, _group(id))
    network.detach(world, _namespace(id))


def power_on(world: World, id: str) -> None:
    """Boots a machine that is off. Raises MachineFailed when it can't."""
    world.store.put(COLLECTION, id, {**describe(world, id), "power": "on"})
    _start(world, id)


def move(world: World, id: str, ipv4: str) -> None:
    """Gives a machine that is off another IPv4 address. Raises MachineFailed for one that is on."""
    if running(world, id):
        raise MachineFailed(f"The machine {id} is on: its address can't be changed")
    world.store.put(COLLECTION, id, {**describe(world, id), "ipv4": ipv4})


def reboot(world: World, id: str) -> None:
    """Asks the machine to reboot, as an operator would."""
    execute(world, id, ["systemctl", "reboot"], check=False, capture_output=True)


def destroy(world: World, id: str) -> None:
    """Removes the machine, its disk, and its firewall's rules. Already gone is fine."""
    described = world.store.get(COLLECTION, id)
    if described:
        world.store.put(COLLECTION, id, {**described, "state": "removing"})
    daemon.stop(world, _group(id))
    network.detach(world, _namespace(id))
    shutil.rmtree(folder(world, id), ignore_errors=True)
    forget(world.namespace(id))
    firewall.apply(world, id, None)
    world.store.delete(COLLECTION, id)


def resume(world: World, progress: image.Progress = lambda _: None) -> None:
    """Finishes what a killed command or a restart of the host left.

    Half-made and half-removed machines are removed; what should run and does not (and did not power itself off) is
    started. Only for a caller that nobody else changes the world beside.
    """
    for id, described in world.store.items(COLLECTION).items():
        if described["state"] != "present":
            progress(f"Removing the machine {id}, which was left half-way")
            destroy(world, id)
        elif described["power"] == "on" and not ended(world, id).exists():
            if not running(world, id):
                progress(f"Starting the machine {id} again")
            if not daemon.running(world, _supervisor_group(id)):
                _start(world, id)


def running(world: World, id: str) -> bool:
    """Whether the machine is switched on and has not powered itself off. It may still be booting."""
    return daemon.running(world, running_group(id)) or daemon.running(world, _supervisor_group(id))


def states(world: World) -> dict[str, dict[str, Any]]:
    """Every machine by id: what `describe` gives, and whether it is running."""
    return {id: {**found, "running": running(world, id)} for id, found in world.store.items(COLLECTION).items()}


def describe(world: World, id: str) -> dict[str, Any]:
    """state, power, hostname, ipv4, ipv6, image. Raises MachineFailed when there is no such machine."""
    described = world.store.get(COLLECTION, id)
    if described is None:
        raise MachineFailed(f"There is no machine {id}")
    return described


def execute(world: World, id: str, argv: Sequence[str], **kwargs: Any) -> subprocess.CompletedProcess[Any]:
    """Runs a command as root inside the machine, past its network; keywords go to subprocess.run.

    env is added to a plain root environment. Raises MachineFailed when the machine is off.
    """
    pid = init_pid(world, id)
    if pid is None:
        raise MachineFailed(f"The machine {id} is off")
    environment: Mapping[str, str] = kwargs.pop("env", None) or {}
    kwargs["env"] = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        **environment,
    }
    namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
    return subprocess.run(["/usr/bin/nsenter", f"--target={pid}", *namespaces, "--", *argv], **kwargs)


def init_pid(world: World, id: str) -> int | None:
    """The machine's process 1 as the host numbers it; None when it is off."""
    for _ in range(3):  # it moves twice when it boots, and may so have been where nobody looked
        # os.walk, because cgroups come and go meanwhile and rglob stumbles over one that went.
        for group, _, _ in os.walk(daemon.cgroup(world, running_group(id))):
            with contextlib.suppress(OSError):
                for pid in Path(group, "cgroup.procs").read_text().split():
                    # One number for the host's process namespace, one for the machine's.
                    if re.search(r"^NSpid:\t\d+\t1$", Path(f"/proc/{pid}/status").read_text(), re.M):
                        return int(pid)
    return None


def console(world: World, id: str) -> str:
    """All that the machine ever wrote to its console."""
    path = folder(world, id) / "console.log"
    return path.read_text(errors="replace") if path.exists() else ""


def folder(world: World, id: str) -> Path:
    """The machine's disk (`upper`, the files that differ from the image) and console."""
    return world.root / "machines" / id


def forget(name: str) -> None:
    """Removes what systemd-nspawn keeps by a machine's name (`*` for any) and leaves behind when it is killed."""
    for path in Path("/run/systemd/nspawn").glob(f"*/{name}"):
        if path.is_mount():
            subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)
        shutil.rmtree(path, ignore_errors=True)


def ended(world: World, id: str) -> Path:
    """A file that is there once the machine has powered itself off."""
    return folder(world, id) / "ended"


def place(id: str, described: Mapping[str, Any]) -> network.Place:
    """Where the machine stands in the network."""
    ipv6 = f"{described['ipv6']}/64" if described["ipv6"] else None
    return network.Place(name=_namespace(id), ipv4=f"{described['ipv4']}/24", ipv6=ipv6)


def running_group(id: str) -> str:
    """The cgroup of the machine's own processes."""
    return f"{_group(id)}/run"


def _group(id: str) -> str:
    return f"machine-{id}"


def _supervisor_group(id: str) -> str:
    return f"{_group(id)}/supervisor"


def _namespace(id: str) -> str:
    return f"machine-{id}"


def _start(world: World, id: str) -> None:
    if not Path(describe(world, id)["image"]).exists():
        raise MachineFailed(
            f"The image of the machine {id} is gone from {world.cache}: destroy the machine, make it anew"
        )
    ended(world, id).unlink(missing_ok=True)
    source = Path(__file__).parents[2]
    daemon.start(
        world,
        _supervisor_group(id),
        [
            *("env", f"PYTHONPATH={source}", "PYTHONDONTWRITEBYTECODE=1"),
            *(sys.executable, "-m", "rehearsal.cloud.supervisor", str(world.root), str(world.cache), id),
        ],
    )
    deadline = time.monotonic() + 20
    while init_pid(world, id) is None:
        if not daemon.running(world, _supervisor_group(id)) or time.monotonic() > deadline:
            said = daemon.log(world, _supervisor_group(id)).read_text(errors="replace") + console(world, id)
            raise MachineFailed(f"The machine {id} did not start: {said.strip()[-2000:] or 'it wrote nothing'}")
        time.sleep(0.02)


def _seed(disk: Path, id: str, hostname: str, user_data: str, public_keys: Sequence[str]) -> None:
    """What cloud-init reads in place of a cloud's metadata service (its NoCloud data source)."""
    seed = disk / "var/lib/cloud/seed/nocloud"
    seed.mkdir(parents=True, exist_ok=True)
    meta_data = {"instance-id": id, "local-hostname": hostname, "public-keys": list(public_keys)}
    (seed / "meta-data").write_text(yaml.safe_dump(meta_data))
    (seed / "user-data").write_text(user_data)


def _make_disk(world: World, progress: image.Progress) -> None:
    """The folder of all machines' disks: in memory where the world's file system can't hold them."""
    machines = world.root / "machines"
    machines.mkdir(exist_ok=True, mode=0o700)  # the disks hold secrets, and not all of the host may look
    with world.lock("disks"):
        if machines.is_mount() or _holds_disks(machines):
            return
        progress(f"{machines} can't hold machines' disks: they are kept in memory")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700", "flask-origin", str(machines)], check=True)


def _holds_disks(machines: Path) -> bool:
    probe = machines / ".probe"
    for part in ("lower", "upper", "work", "root"):
        (probe / part).mkdir(parents=True, exist_ok=True)
    layers = ",".join(f"{part}dir={probe}/{part}" for part in ("lower", "upper", "work"))
    script = f"mount -t overlay overlay -o {shlex.quote(layers)} {shlex.quote(str(probe / 'root'))}"
    tried = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, check=False)
    shutil.rmtree(probe, ignore_errors=True)
    return tried.returncode == 0
