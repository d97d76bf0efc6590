"""What one more resource costs in the embedded engine: `python -m bench.growth_once T0 10 100 …` prints rows as JSON.

The resources are random passwords, which cost their provider nothing: what is measured is the SDK's registration, the
engine and its state file, written before and after each step.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rehearsal.cloud.world import World
from rehearsal.engine import Engine, Result
from rehearsal.providers.random_password import RandomPassword

PROGRAM = """\
import pulumi_random

for number in range({count}):
    pulumi_random.RandomPassword(f"password-{{number}}", length=16)
"""


def main(counts: Sequence[int]) -> list[dict[str, float]]:
    """For each count the seconds of an `up` from nothing and of a preview of what then exists, and the state's size."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "__main__.py").write_text(PROGRAM.format(count=count))
            world = World(folder / "world")
            engine = Engine(folder / "engine", "bench", "dev", {RandomPassword.token: RandomPassword(world)}, {})
            rows.append(
                {
                    "resources": count,
                    "up": _seconds(lambda folder=folder, engine=engine: engine.up(folder), count),
                    "preview": _seconds(lambda folder=folder, engine=engine: engine.preview(folder), count),
                    "state": (folder / "engine/state.json").stat().st_size / 1e6,
                }
            )
    return rows


def _seconds(run: Callable[[], Result], count: int) -> float:
    began = time.monotonic()
    result = run()
    assert result.ok and len(result.steps) == count + 1, result.errors
    return time.monotonic() - began


if __name__ == "__main__":
    print(json.dumps(main([int(count) for count in sys.argv[2:]])))
