"""The benchmarks' own worlds, beside those of any stack, and a visitor who waits in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.measure import PROJECT
from rehearsal.cloud import authorities, edge, ground
from rehearsal.cloud.world import World

ORIGIN, NAIVE = "origin", "naive"
WAIT = 600.0
"""Seconds that a visitor waits at most."""


def home(side: str) -> Path:
    """What REHEARSAL_HOME is for one side: under the caller's own, or the checkout's."""
    return Path(os.environ.get("BENCH_HOME") or PROJECT / ".rehearsal/bench") / side


def visitor(world: World, hostname: str, path: str) -> subprocess.Popen[str]:
    """A visitor who tries until there is a page, and prints when that was (time.monotonic())."""
    argv = [sys.executable, str(PROJECT / "bench/visitor.py"), hostname, str(authorities.public_file(world))]
    return subprocess.Popen(
        ["ip", "netns", "exec", world.namespace("visitor"), *argv, path, str(WAIT)], stdout=subprocess.PIPE, text=True
    )


def remove(world: World) -> None:
    """Nothing of it is left, whatever state it is in."""
    edge.stop(world)
    ground.remove(world)
    subprocess.run(["rm", "-rf", "--one-file-system", str(world.root)], check=True)
