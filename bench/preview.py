"""What a preview of one host costs, part by part, and how the embedded engine grows with the number of resources."""

from __future__ import annotations

import statistics
from typing import Any

from bench.measure import reported

COUNTS = (10, 100, 300, 1000)


def parts(rounds: int) -> dict[str, float]:
    """Median seconds of each part of a preview, in order: interpreter, SDKs, engine, the program's, the rest."""
    reported("bench.preview_once", timeout=300)  # compiles what was never imported
    seen = [reported("bench.preview_once", timeout=300) for _ in range(rounds)]
    durations = [_durations(reached) for reached in seen]
    return {part: statistics.median(each[part] for each in durations) for part in durations[0]}


def growth() -> list[dict[str, Any]]:
    """One row for each number of resources (see growth_once)."""
    return reported("bench.growth_once", *COUNTS, timeout=900)


def _durations(reached: dict[str, float]) -> dict[str, float]:
    ends = [0.0, *reached.values()]
    return {part: end - before for part, before, end in zip(reached, ends, ends[1:], strict=False)}
