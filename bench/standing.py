"""A stack that stands for a benchmark: its machine held to one processor, and both ways to its server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import load, worlds
from bench.load import Load, Target
from bench.measure import PROJECT
from provisioning.proxies import PROGRAMS, Kind
from rehearsal import stackfile
from rehearsal.checks.line import Failed
from rehearsal.checks.site import HELLO, Site
from rehearsal.cloud import authorities, daemon, machine
from rehearsal.rehearsal import Rehearsal

LOADER, MACHINE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
"""The processor of what asks, and that of the whole machine, which is the one that the default droplet has."""

APP = {"source": str(PROJECT / "bench/app"), "entrypoint": "app:app", "health": {"path": "/health"}}

PROBLEMS = (RuntimeError, Failed, subprocess.SubprocessError)
"""What keeps one row of a table from being measured, and should not cost the others."""


@dataclass(frozen=True, kw_only=True)
class Carried(Load):
    """busy: milliseconds of the machine's processor for each request, whatever else ran beside it."""

    busy: float


class Standing:
    """One host with one proxy, on which apps are released."""

    def __init__(self, rehearsal: Rehearsal, proxy: Kind) -> None:
        self.rehearsal = rehearsal
        self.proxy = proxy
        self.fortio = load.program(worlds.home("bin"))
        self.up(HELLO)
        self.site = Site(rehearsal)
        self.unit = f"{PROGRAMS[proxy].unit}.service"
        self._certificate()
        # What was started before would still believe in all processors of this computer.
        self.hold()
        self.site.read("systemctl", "restart", self.unit)
        self.site.await_answer(HELLO["health"]["path"])

    def up(self, app: Mapping[str, Any]) -> None:
        """The stack with these of its app's settings. Raises RuntimeError with the first problem."""
        result = self.rehearsal.up({"proxy": {"kind": self.proxy}, "app": app})
        if not result.ok:
            raise RuntimeError(result.errors[0].text)

    def socket(self) -> str:
        """The live release's, as a path on the host."""
        return self.site.read("readlink", "/srv/app/current.sock")

    def bare(self, socket: str) -> Target:
        """A server alone, on its unix socket."""
        root = Path(f"/proc/{machine.init_pid(self.site.world, self.site.machine_id)}/root")
        return Target(
            place=self._pinned(), options=["-unix-socket", f"{root}{socket}"], base=f"http://{self.site.hostname}"
        )

    def chain(self) -> Target:
        """As the edge asks: from its place, over TLS with the zone's client certificate, through the proxy."""
        folder = self._folder()
        shown = ["-cert", f"{folder}/client.pem", "-key", f"{folder}/client.pem", "-cacert", f"{folder}/ca.pem"]
        return Target(
            place=["ip", "netns", "exec", self.site.world.namespace("edge"), *self._pinned()],
            options=[*shown, "-H", "CF-Connecting-IP: 198.18.64.10", "-resolve", self.site.ipv4],
            base=self.site.url,
        )

    def put(self, on: Target, path: str, **options: Any) -> Carried:
        """A load (see load.put) with the machine's processor time beside it."""
        self.hold()
        before = self._busy()
        seen = load.put(self.fortio, on, path, **options)
        busy = 1000 * (self._busy() - before) / (seen.rate * options["seconds"])
        return Carried(rate=seen.rate, median=seen.median, p99=seen.p99, busy=busy)

    def hold(self) -> None:
        """Bind every process of the machine to its processor; those that they start are born there."""
        for pid in self.site.pids():
            with contextlib.suppress(FileNotFoundError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(ProcessLookupError):
                        os.sched_setaffinity(int(thread.name), {MACHINE})

    def memory(self) -> dict[str, float]:
        """MB by unit, at most: pages of files count for each process, what forks share once."""
        found: dict[str, float] = {}
        for pid in self.site.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                unit = Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition("/")[2]
                lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
                kb = {fields[0].rstrip(":"): int(fields[1]) for fields in lines}
                resident = kb["Rss"] - kb["Anonymous"] + kb["Pss_Anon"]
                found[unit] = found.get(unit, 0.0) + resident / 1000
        return found

    def _busy(self) -> float:
        group = daemon.cgroup(self.site.world, machine.running_group(self.site.machine_id))
        return int((group / "cpu.stat").read_text().split()[1]) / 1e6

    def _pinned(self) -> list[str]:
        return ["taskset", "--cpu-list", str(LOADER)]

    def _folder(self) -> Path:
        return self.site.world.root / "bench"

    def _certificate(self) -> None:
        self._folder().mkdir(mode=0o700, exist_ok=True)
        (self._folder() / "ca.pem").write_text(authorities.origin(self.site.world).certificate)
        pair = self._folder() / "client.pem"
        pair.touch(mode=0o600)
        pair.write_text(self.site.client_pair)


@contextlib.contextmanager
def standing(proxy: Kind, listener: Any = lambda event: None) -> Iterator[Standing]:
    """A host with that proxy; nothing is left of it afterwards."""
    os.environ["REHEARSAL_HOME"] = str(worlds.home(worlds.ORIGIN))
    stack = stackfile.load(stackfile.find(PROJECT, "dev"))
    rehearsal = Rehearsal(stack, lambda text: None, listener)
    worlds.remove(rehearsal.world)
    rehearsal = Rehearsal(stack, lambda text: print(text, file=sys.stderr), listener)
    try:
        rehearsal.prepare()
        yield Standing(rehearsal, proxy)
    finally:
        worlds.remove(rehearsal.world)
