"""One `up` of the dev stack from nothing, watched: `python -m bench.up_once T0` prints when each thing happened.

Seconds are from T0 (time.monotonic() as this process was started). The world is left standing.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from bench import worlds
from rehearsal import stackfile
from rehearsal.cloud import machine
from rehearsal.cloud.world import World
from rehearsal.engine import Event
from rehearsal.rehearsal import PROJECT, Rehearsal

# What the first boot says in its journal as it goes; a line that never comes leaves its mark out.
MARKS = {
    "apt begins": r"cloud-init\[\d+\]: (Get|Hit|Ign):1 ",
    "apt unpacks": r"cloud-init\[\d+\]: Selecting previously unselected",
    "uv begins": r"cloud-init\[\d+\]: (Looking in indexes|Collecting uv)",
    "uv is there": r"cloud-init\[\d+\]: Successfully installed uv",
    "cloud-init ends": r"cloud-init\[\d+\]: Cloud-init v\. \S+ finished",
}


def main(started: float) -> dict[str, Any]:
    """{"marks": seconds by name, "steps": [{"name", "type", "begin", "end"}, …]}."""
    marks = {"imported": time.monotonic() - started}
    begun: dict[str, float] = {}
    steps: list[dict[str, Any]] = []

    def listener(event: Event) -> None:
        now = time.monotonic() - started
        if event.step and event.kind == "begin":
            begun[event.step.urn] = now
        elif event.step and event.kind == "done":
            begin = begun[event.step.urn]
            steps.append({"name": event.step.name, "type": event.step.type, "begin": begin, "end": now})

    stack = stackfile.load(stackfile.find(PROJECT, "dev"))
    rehearsal = Rehearsal(stack, lambda _: None, listener)
    rehearsal.prepare()
    marks["prepared"] = time.monotonic() - started
    hostname, health = stack.section("site")["hostname"], stack.section("app")["health"]["path"]
    with worlds.visitor(rehearsal.world, hostname, health) as visitor:
        result = rehearsal.up()
        marks["up"] = time.monotonic() - started
        if not result.ok:
            visitor.kill()
            raise SystemExit("\n".join(problem.text for problem in result.errors))
        seen, _ = visitor.communicate(timeout=worlds.WAIT)
    marks["first page"] = float(seen) - started
    return {"marks": {**marks, **_in_the_machine(rehearsal.world, started)}, "steps": steps}


def _in_the_machine(world: World, started: float) -> dict[str, float]:
    (id,) = world.store.items(machine.COLLECTION)
    argv = ["journalctl", "--output=short-monotonic", "--no-pager"]
    journal = machine.execute(world, id, argv, capture_output=True, text=True, check=True).stdout
    found = {}
    for name, pattern in MARKS.items():
        if line := re.search(rf"^\[ *(\d+\.\d+)\] \S+ {pattern}", journal, re.M):
            # A container's monotonic clock is the host's.
            found[name] = float(line[1]) - started
    return found


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
