"""An app's requirements, installed on a host: by the release tool (uv) and by pip in a new virtual environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench import worlds
from bench.measure import PROJECT, Comparison
from rehearsal.cloud import machine
from rehearsal.cloud.world import World

SETS = {
    "hello": ("examples/hello, 7 packages", PROJECT / "examples/hello/requirements.txt"),
    "bigger": ("67 packages", PROJECT / "bench/bigger/requirements.txt"),
}
LIMIT = 2400
"""Seconds for all rounds of one set."""
APT = "apt-get -qq update && apt-get -qq --no-install-recommends install python3-venv"


def measure(rounds: int) -> list[Comparison]:
    """On the host that first_page.origin(keep=True) left standing."""
    world = World(worlds.home(worlds.ORIGIN) / "dev")
    (id,) = world.store.items(machine.COLLECTION)
    options: dict[str, Any] = {"env": {"DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "text": True}
    _checked(machine.execute(world, id, ["sh", "-ec", APT], **options))
    comparisons = []
    for name, (label, requirements) in SETS.items():
        given = json.dumps({"requirements": requirements.read_text(), "rounds": rounds})
        script = Path(__file__).with_name("guest_install.py").read_text()
        argv = ["python3", "-c", script]
        said = _checked(machine.execute(world, id, argv, input=given, timeout=LIMIT, **options))
        seen = json.loads(said.splitlines()[-1])
        comparisons += [
            Comparison(
                id=f"install-{name}-{kind}",
                title=f"Requirements of {label}, {kind} cache",
                unit="s",
                ours="release tool (uv)",
                theirs="venv and pip",
                pairs=[(ours, theirs) for ours, theirs in seen[kind]],
                aim=0.15,
            )
            for kind in ("cold", "warm")
        ]
    return comparisons


def _checked(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        raise RuntimeError(f"on the host: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout
