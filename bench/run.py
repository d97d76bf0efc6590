"""Measures, writes bench/results.json, then the page and pictures: `python -m bench.run [--only …] [--quick]`.

Nothing here passes or fails by its time. A part that is left out keeps its figures from the last run, and their date.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import cells, first_page, imports, installs, phases, preview, releases, report, serving, tuning, worlds
from bench.measure import PROJECT, Comparison
from rehearsal.cloud.world import World

Part = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """rounds: pairs of machines; releases: under load, all proxies together.

    loads: pairs of loads, and seconds: of each load. Many and short, because what slows this computer down from outside
    comes and goes within seconds.
    """

    rounds: int = 3
    loads: int = 5
    seconds: float = 0.5
    releases: int = 100


QUICK = Effort(rounds=1, loads=2, releases=3)


def _imports(effort: Effort) -> Part:
    return {"comparisons": _plain(imports.measure(2 * effort.rounds))}


def _preview(effort: Effort) -> Part:
    return {"parts": preview.parts(2 * effort.rounds)}


def _growth(effort: Effort) -> Part:
    return {"growth": preview.growth()}


def _first_page(effort: Effort) -> Part:
    compared, runs = first_page.measure(effort.rounds)
    return {"comparisons": _plain(compared), "phases": phases.table(runs)}


def _installs(effort: Effort) -> Part:
    try:
        first_page.origin(keep=True)
        return {"comparisons": _plain(installs.measure(effort.rounds))}
    finally:
        worlds.remove(World(worlds.home(worlds.ORIGIN) / "dev"))


def _serving(effort: Effort) -> Part:
    return {"cells": serving.measure(effort.loads, effort.seconds)}


def _tuning(effort: Effort) -> Part:
    return {"rows": tuning.measure(effort.loads, effort.seconds)}


def _releases(effort: Effort) -> Part:
    return {"rows": releases.measure(effort.rounds, math.ceil(effort.releases / len(cells.PROXIES)))}


PARTS: dict[str, Callable[[Effort], Part]] = {
    "imports": _imports,
    "preview": _preview,
    "growth": _growth,
    "first-page": _first_page,
    "installs": _installs,
    "serving": _serving,
    "tuning": _tuning,
    "releases": _releases,
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--rounds", type=int, default=Effort.rounds, help="pairs of machines; twice as many of processes"
    )
    parser.add_argument("--releases", type=int, default=Effort.releases, help="under load, all proxies together")
    parser.add_argument("--quick", action="store_true", help="one short round, printed and not kept: does all work?")
    arguments = parser.parse_args(argv)
    effort = QUICK if arguments.quick else Effort(rounds=arguments.rounds, releases=arguments.releases)
    results = json.loads(report.RESULTS.read_text()) if report.RESULTS.exists() and not arguments.quick else {}
    for name in arguments.only:
        load = os.getloadavg()[0]
        print(f"{name} (load {load:.1f}) …", file=sys.stderr, flush=True)
        measured = {
            **PARTS[name](effort),
            "when": _now(),
            "load": round(load, 1),
            "machine": _machine(),
        }
        results[name] = {**measured, "commit": _commit()}
        if arguments.quick:
            print(report.section(name, _rounded(results)))
            continue
        # After each part: an interrupted run keeps what it has, and its page.
        report.RESULTS.write_text(json.dumps(_rounded(results), indent=1) + "\n")
        report.main()
    print(report.terminal(_rounded(results)))
    return 0


def _plain(comparisons: list[Comparison]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(comparison) for comparison in comparisons]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")


def _machine() -> str:
    models = [line.partition(":")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    model = " ".join(models[0].split()) if models else platform.machine()
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}"


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True)
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
