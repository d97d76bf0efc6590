"""Timing processes, and pairs of them in turn: what slows one down slows its neighbour down as well."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

PROJECT = Path(__file__).parent.parent
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process, from its start to its end. wall and cpu in seconds, memory in MB at its highest."""

    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Pairs (ours, theirs) of the same quantity, each pair measured one right after the other. Less is better."""

    id: str
    title: str
    unit: str
    ours: str
    theirs: str
    pairs: Sequence[tuple[float, float]]
    aim: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, pair by pair."""
        return [ours / theirs for ours, theirs in self.pairs]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def median(self, side: int) -> float:
        """Of our side (0) or theirs (1)."""
        return statistics.median(pair[side] for pair in self.pairs)


def process(argv: Sequence[str | Path]) -> Sample:
    """Runs a command in the project, its output thrown away. Raises CalledProcessError when it fails."""
    began = time.monotonic()
    running = subprocess.Popen([str(arg) for arg in argv], cwd=PROJECT, stdout=subprocess.DEVNULL, env=environment())
    _, status, used = os.wait4(running.pid, 0)
    wall = time.monotonic() - began
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, running.args)
    return Sample(wall=wall, cpu=used.ru_utime + used.ru_stime, memory=used.ru_maxrss / 1024)


def in_turn(rounds: int, ours: Callable[[], T], theirs: Callable[[], T]) -> list[tuple[T, T]]:
    """Both sides `rounds` times, the first to go changing from round to round."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = theirs()
            pairs.append((ours(), second))
        else:
            first = ours()
            pairs.append((first, theirs()))
    return pairs


def reported(module: str, *arguments: object, timeout: float, **variables: str) -> Any:
    """What `python -m module started arguments…` prints as JSON; `started` is time.monotonic() as it was started."""
    argv = [sys.executable, "-m", module, str(time.monotonic()), *map(str, arguments)]
    done = subprocess.run(
        argv, cwd=PROJECT, env={**environment(), **variables}, capture_output=True, text=True, timeout=timeout
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def environment() -> dict[str, str]:
    """Bytecode is written and kept, as on any machine that is not told otherwise."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"}
