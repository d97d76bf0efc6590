"""Measures, writes bench/results.json, then the page and pictures: `python -m bench.run [--only …] [--rounds N]`.

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
from pathlib import Path
from typing import Any

from bench import cells, first_page, imports, installs, phases, preview, releases, report, serving, tuning, worlds
from bench.measure import PROJECT, Comparison
from rehearsal.cloud.world import World

Part = dict[str, Any]


def _imports(rounds: int) -> Part:
    return {"comparisons": _plain(imports.measure(2 * rounds))}


def _preview(rounds: int) -> Part:
    return {"parts": preview.parts(2 * rounds)}


def _growth(rounds: int) -> Part:
    return {"growth": preview.growth()}


def _first_page(rounds: int) -> Part:
    compared, runs = first_page.measure(rounds)
    return {"comparisons": _plain(compared), "phases": phases.table(runs)}


def _installs(rounds: int) -> Part:
    try:
        first_page.origin(keep=True)
        return {"comparisons": _plain(installs.measure(rounds))}
    finally:
        worlds.remove(World(worlds.home(worlds.ORIGIN) / "dev"))


def _serving(rounds: int) -> Part:
    return {"cells": serving.measure(rounds, SECONDS)}


def _tuning(rounds: int) -> Part:
    return {"rows": tuning.measure(rounds, SECONDS)}


def _releases(rounds: int) -> Part:
    # A hundred in all, in windows; a quick look has a few in one.
    count = math.ceil(100 / len(cells.PROXIES)) if rounds > 1 else 3
    return {"rows": releases.measure(rounds, count)}


SECONDS = 2.0
"""How long a load is put on one side at a time."""

PARTS: dict[str, Callable[[int], Part]] = {
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
    parser.add_argument("--rounds", type=int, default=3, help="pairs of machines; twice as many pairs of processes")
    parser.add_argument("--quick", action="store_true", help="one round, printed and not kept: to see that all works")
    arguments = parser.parse_args(argv)
    results = json.loads(report.RESULTS.read_text()) if report.RESULTS.exists() and not arguments.quick else {}
    for name in arguments.only:
        load = os.getloadavg()[0]
        print(f"{name} (load {load:.1f}) …", file=sys.stderr, flush=True)
        measured = {
            **PARTS[name](1 if arguments.quick else arguments.rounds),
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
