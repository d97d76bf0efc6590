"""Worlds as a whole: side by side, killed in the middle, removed without a trace."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.cloud import daemon, ground, machine, network
from rehearsal.cloud.world import World
from tests.rehearsal.cloud.standing import booted, cloud_init_done, knock, output, until

pytestmark = pytest.mark.machines

_COMMAND = """
import sys
from pathlib import Path
from rehearsal.cloud import ground, machine
from rehearsal.cloud.world import World
world = World(Path(sys.argv[1]), Path(sys.argv[2]))
ground.ensure(world)
machine.create(world, "web", hostname="web", user_data="", public_keys=[], ipv4="198.19.1.2", ipv6="2001:db8:d0:1::2")
print("created", flush=True)
sys.stdin.read()
"""


def test_two_worlds_side_by_side(world: World, second_world: World) -> None:
    with booted(world, "web"), booted(second_world, "web"):
        for each in (world, second_world):
            until(lambda each=each: cloud_init_done(each, "web"))
            assert "Suite: stable" in _release(each)
        ids = {output(each, "web", "cat", "/etc/machine-id") for each in (world, second_world)}
        assert len(ids) == 2
        ground.remove(second_world)
        assert marks(second_world) == []
        assert machine.running(world, "web")
        assert "Suite: stable" in _release(world)
        ground.ensure(second_world)


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.4, 0.8, 1.6])
def test_a_killed_command_is_cleaned_up_after(tmp_path: Path, moment: float) -> None:
    world = World(tmp_path / "world")
    command = _command(world)
    try:
        command.wait(moment)
    except subprocess.TimeoutExpired:
        os.kill(command.pid, signal.SIGKILL)
    command.wait()
    try:
        ground.ensure(world)
        for id, found in machine.states(world).items():
            assert found["state"] == "present", id
            assert found["running"], id
    finally:
        ground.remove(world)
    assert marks(world) == []


@pytest.mark.parametrize("lost", ["store", "folder"])
def test_everything_is_found_when_the_store_is_lost_and_all_are_killed(tmp_path: Path, lost: str) -> None:
    world = World(tmp_path / "world")
    command = _command(world)
    assert command.stdout
    assert command.stdout.readline() == "created\n"
    supervisor = daemon.main_pid(world, "machine-web/supervisor")
    assert supervisor
    for pid in (command.pid, supervisor):
        os.kill(pid, signal.SIGKILL)
    command.wait()
    assert machine.running(world, "web"), "it outlives both"
    assert len(marks(world)) > 3
    shutil.rmtree(world.root if lost == "folder" else world.store.folder, ignore_errors=True)
    ground.remove(World(tmp_path / "world"))
    assert marks(world) == []
    ground.remove(world)


def test_what_a_restart_of_the_host_takes_down_is_brought_back(second_world: World) -> None:
    with booted(second_world, "web") as found:
        until(lambda: cloud_init_done(second_world, "web"))
        output(second_world, "web", "touch", "/root/kept")
        # A restart leaves the world's folder, and nothing of /run, of namespaces, of processes.
        daemon.kill(daemon.cgroup(second_world))
        network.remove(second_world)
        shutil.rmtree(second_world.runtime)
        ground.ensure(second_world)
        until(lambda: knock(second_world, "operator", found.ipv4, 22) == "open")
        assert output(second_world, "web", "ls", "/root/kept")


def test_ensure_again_changes_nothing(second_world: World) -> None:
    before = marks(second_world)
    ground.ensure(second_world)
    assert marks(second_world) == before


def test_where_the_file_system_cannot_hold_disks_they_are_in_memory(tmp_path: Path) -> None:
    """As in a container, whose own file system is an overlay."""
    for part in ("lower", "upper", "work", "root"):
        (tmp_path / part).mkdir()
    layers = ",".join(f"{part}dir={tmp_path}/{part}" for part in ("lower", "upper", "work"))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(tmp_path / "root")], check=True)
    world = World(tmp_path / "root/world")
    said: list[str] = []
    try:
        ground.ensure(world)
        web = {"hostname": "web", "user_data": "", "public_keys": [], "ipv4": "198.19.1.2", "ipv6": None}
        machine.create(world, "web", **web, progress=said.append)
        assert said == [f"{world.root}/machines can't hold machines' disks: they are kept in memory"]
        output(world, "web", "touch", "/root/kept")
        machine.power_off(world, "web")
        machine.power_on(world, "web")
        assert output(world, "web", "ls", "/root/kept")
    finally:
        ground.remove(world)
        subprocess.run(["umount", str(tmp_path / "root")], check=True)
    assert marks(world) == []


def _release(world: World) -> str:
    fetch = "import urllib.request as r; print(r.urlopen('http://198.18.0.80/debian/dists/trixie/InRelease').read())"
    return output(world, "web", "python3", "-c", fetch)


def _command(world: World) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(world.root), str(world.cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    """As rglob does, which may fail where folders go meanwhile."""
    for above, folders, files in os.walk(folder):
        yield from (Path(above, name) for name in fnmatch.filter([*folders, *files], pattern))


def marks(world: World) -> list[str]:
    """Whatever of the world is on this host, outside its folder and in it."""
    group = daemon.cgroup(world)
    processes = []
    for folder, _, _ in os.walk(group):
        with contextlib.suppress(OSError):  # it is gone by now
            processes += Path(folder, "cgroup.procs").read_text().split()
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if world.tag in line]
    mounts += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{world.root}/" in line]
    named = [*Path("/etc/netns").glob(world.namespace("*")), *_below(Path("/run/systemd"), world.namespace("*"))]
    paths = [group, world.runtime, world.root / "machines", *named]
    return sorted(
        [
            *(f"process {pid}" for pid in processes),
            *(f"mount {mount}" for mount in mounts),
            *(f"namespace {name}" for name in network.existing(world)),
            *(f"{path} is there" for path in paths if path.exists()),
        ]
    )
