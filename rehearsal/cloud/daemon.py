"""Long-lived processes of a world: they outlive the command that started them.

Each one has a cgroup of its own, `flask-origin/<tag>/<name>`. The cgroup is the record of what runs: it can't go stale
as a pidfile can, and killing it kills every descendant at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rehearsal.cloud.world import World, WorldFailed


class DaemonFailed(WorldFailed):
    """A process of the rehearsal ended at once; the message has the end of what it wrote."""


@functools.cache
def cgroup_root() -> Path:
    """Where the unified cgroup hierarchy is mounted. Raises FileNotFoundError when it is not."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4])
    raise FileNotFoundError("no cgroup2 file system is mounted")


def cgroup(world: World, name: str = "") -> Path:
    """The cgroup of one process tree of the world, or of all of them."""
    return cgroup_root() / "flask-origin" / world.tag / name


def log(world: World, name: str) -> Path:
    """What the process has written."""
    return world.runtime / f"{name.replace('/', '-')}.log"


def start(world: World, name: str, argv: Sequence[str], *, place: str | None = None) -> None:
    """Starts the command in the background, in a place's network namespace if one is given.

    Does nothing if one of that name runs. Its output goes to `log(world, name)`, made anew.
    """
    with world.lock(f"daemon-{name.replace('/', '-')}"):
        if running(world, name):
            return
        group = cgroup(world, name)
        group.mkdir(parents=True, exist_ok=True)
        command = ["ip", "netns", "exec", world.namespace(place), *argv] if place else list(argv)
        with log(world, name).open("wb") as output:
            # The shell joins the cgroup before it forks, so that the child is in it when this returns.
            subprocess.run(
                ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec setsid --fork "$@"', str(group), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=True,
            )


def running(world: World, name: str) -> bool:
    """Whether any process of that tree is alive."""
    return populated(cgroup(world, name))


def main_pid(world: World, name: str) -> int | None:
    """The first process of the tree, which is the one to send signals to; None when nothing runs."""
    pids = (cgroup(world, name) / "cgroup.procs").read_text().split() if running(world, name) else []
    return min(map(int, pids), key=_started, default=None)


def send(world: World, name: str, signum: signal.Signals) -> None:
    """Sends a signal to the main process, for instance SIGHUP to make it read its configuration again."""
    if pid := main_pid(world, name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def stop(world: World, name: str) -> None:
    """Kills the whole tree at once. Already gone is fine."""
    kill(cgroup(world, name))
    log(world, name).unlink(missing_ok=True)


def await_ready(world: World, name: str, ready: Path, *, timeout: float = 10) -> None:
    """Waits until the file or socket exists. Raises DaemonFailed when the process ended or `timeout` s are over."""
    deadline = time.monotonic() + timeout
    while not ready.exists():
        if not running(world, name) or time.monotonic() > deadline:
            tail = log(world, name).read_text(errors="replace")[-2000:].strip()
            raise DaemonFailed(f"{name} did not start: {tail or 'it wrote nothing'}")
        time.sleep(0.02)


def populated(group: Path) -> bool:
    """Whether a living process is in the cgroup or below it."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except OSError:  # the cgroup is gone
        return False


def kill(group: Path, *, timeout: float = 10) -> None:
    """Kills every process in the cgroup and below, waits for them to be gone, removes the cgroup."""
    deadline = time.monotonic() + timeout
    while populated(group):
        _kill_once(group)
        if time.monotonic() > deadline:
            raise DaemonFailed(f"processes in {group} can't be killed")
        time.sleep(0.01)
    # On a host with the old hierarchies too, systemd-nspawn leaves the same path in the one called "systemd".
    for root in (group, cgroup_root().with_name("systemd") / group.relative_to(cgroup_root())):
        for folder, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):  # gone, or a new process came: then it is not ours to remove
                Path(folder).rmdir()


def _kill_once(group: Path) -> None:
    with contextlib.suppress(OSError):
        if (group / "cgroup.kill").exists():  # since Linux 5.14; all at once, so that nothing can fork away
            (group / "cgroup.kill").write_text("1")
            return
        for procs in group.rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def _started(pid: int) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[19]), pid
    return (1 << 62, pid)
