"""Worlds that live for one line of a check: the same stack file, another home, run by the same command as a user's.

Their home is beside the stack's own world and always the same, so that what a killed check left is found by the next.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime, monotonic, sleep

from rehearsal.checks import curl
from rehearsal.checks.line import Failed, expect
from rehearsal.checks.site import Site
from rehearsal.cloud import daemon, machine, network
from rehearsal.cloud.world import World
from rehearsal.rehearsal import PROJECT

_UP_SECONDS = 300.0
_one_at_a_time = threading.Lock()  # two cores boot one machine at a time


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in a machine's first boot, told by what is on its disk."""

    name: str
    reached: Callable[[Path], bool]


def _there(path: str) -> Callable[[Path], bool]:
    return lambda disk: any(disk.glob(path))


MOMENTS = (
    Moment(name="as it starts", reached=lambda disk: disk.exists()),
    Moment(name="as cloud-init writes files", reached=_there("usr/local/sbin/bootstrap")),
    Moment(name="as packages are unpacked", reached=_there("usr/bin/*.dpkg-new")),
    Moment(name="as uv is installed", reached=_there("opt/uv*")),
)


class Throwaway:
    """One such world. Everything goes through the command line, so that it can be killed as a user's can be."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.world.root.parent / "throwaway"
        self.root = self.home / site.stack.stack
        self.up_process: subprocess.Popen[str] | None = None
        self.networks: set[int] = set()
        self.destroyed = 0.0

    @property
    def world(self) -> World:
        return World(self.root)

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the rehearsal's own command on this world."""
        environment = {**os.environ, "REHEARSAL_HOME": str(self.home), "PYTHONPATH": str(PROJECT)}
        options = ["--stack", str(self.site.stack.path), "--engine", self.site.rehearsal.engine_name, "--json"]
        argv = [sys.executable, "-m", "rehearsal", *arguments, *options]
        return subprocess.Popen(
            argv,
            env=environment,
            cwd=PROJECT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def begin_up(self) -> None:
        self.up_process = self.run("up")

    def finish_up(self, *, seconds: float = _UP_SECONDS) -> bool:
        """Whether the `up` that was begun worked. Raises Failed when it never ends."""
        process = self.up_process
        assert process
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"up did not end within {seconds:.0f} s") from None
        return process.returncode == 0

    def up(self) -> None:
        """A whole `up`. Raises Failed when it does not work."""
        self._finish(self.run("up"), "up")

    def destroy(self) -> None:
        """A whole `destroy`. Raises Failed when it does not work."""
        self.networks |= self._networks()
        self.destroyed = clock_gettime(CLOCK_BOOTTIME)
        self._finish(self.run("destroy"), "destroy")

    def kill_up(self) -> None:
        """kill -9, and nothing of it gets to know."""
        process = self.up_process
        assert process
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _finish(self, process: subprocess.Popen[str], what: str) -> None:
        try:
            out, err = process.communicate(timeout=_UP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"{what} did not end within {_UP_SECONDS:.0f} s") from None
        expect(process.returncode == 0, f"{what} failed: {(err.strip() or out.strip())[-400:]}")

    def machine_id(self) -> str | None:
        """The machine, once the cloud has made it and it runs: a cut before that fails the making, not the boot."""
        made = self.world.store.items(machine.COLLECTION).items()
        running = (id for id, it in made if it["state"] == "present" and machine.init_pid(self.world, id))
        return next(running, None)

    def await_moment(self, moment: Moment) -> float:
        """Seconds that it took to get there. Raises Failed when `up` ends before."""
        started = monotonic()
        while True:
            id = self.machine_id() if self.root.exists() else None
            if id and moment.reached(machine.folder(self.world, id) / "upper"):
                return monotonic() - started
            process = self.up_process
            expect(process and process.poll() is None, f"up ended before the moment {moment.name!r}")
            expect(monotonic() - started < _UP_SECONDS, f"the moment {moment.name!r} never came")
            sleep(0.01)

    def cut_power(self) -> None:
        """Off without warning, a moment of darkness, on again."""
        id = self.machine_id()
        assert id
        machine.power_off(self.world, id)
        sleep(0.5)
        machine.power_on(self.world, id)

    def expect_serving(self) -> None:
        """Raise Failed unless a visitor of this world gets 200."""
        site = self.site
        argv = ["curl", "--silent", "--show-error", "--insecure", "--max-time", "20", *curl.WRITE_OUT]
        done = network.exec_in(self.world, "visitor", [*argv, f"{site.url}{site.health_path}"], capture_output=True)
        seen = curl.answer(done.stdout, done.stderr)
        expect(seen.status == 200, f"visitors get {seen}")

    def left_behind(self) -> list[str]:
        """What is still there of a world that was destroyed, in words; nothing should be."""
        # Before World(), which makes its folder.
        found = [f"the folder {self.root}"] if self.root.exists() else []
        world = self.world
        with contextlib.suppress(OSError):  # not empty: it does stand
            self.root.rmdir()
        found += [f"the network namespace {name}" for name in network.existing(world)]
        found += [f"a mount: {text.split()[4]}" for text in _mounts() if str(self.root) in text or world.tag in text]
        if daemon.populated(daemon.cgroup(world)):
            found.append("processes of the world")
        if resolvers := list(Path("/etc/netns").glob(world.namespace("*"))):
            found.append(f"{resolvers[0]}")
        if world.runtime.exists() and any(world.runtime.iterdir()):
            found.append(f"{next(world.runtime.iterdir())}")
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
                inside = (process / "ns/net").stat().st_ino in self.networks
                # The kernel gives a network's number to another's once it is free.
                inside = inside and _began(process) < self.destroyed
                if inside or str(self.root) in command:
                    found.append(f"the process {command[:80]!r}")
        return found

    def _networks(self) -> set[int]:
        names = network.existing(self.world) if self.root.exists() else set()
        return {Path("/run/netns", name).stat().st_ino for name in names}


def _began(process: Path) -> float:
    """When it was started, in seconds since this computer was (CLOCK_BOOTTIME); see proc_pid_stat(5)."""
    ticks = (process / "stat").read_text().rpartition(")")[2].split()[19]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


@contextlib.contextmanager
def world(site: Site) -> Iterator[Throwaway]:
    """A world of its own for as long as the block runs; nothing of it is left, whatever happens in the block."""
    with _one_at_a_time:
        other = Throwaway(site)
        _clear(other)
        try:
            yield other
        finally:
            if other.up_process and other.up_process.poll() is None:
                other.up_process.kill()
                other.up_process.wait()
            _clear(other)


def _clear(other: Throwaway) -> None:
    if other.root.exists():
        other.run("destroy").communicate(timeout=_UP_SECONDS)
    shutil.rmtree(other.home, ignore_errors=True)
