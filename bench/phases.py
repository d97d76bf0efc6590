"""Where the time of an `up` from nothing goes: the way through it on which nothing else is waited for."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# Each phase ends at its mark, or at the end of its step; it begins where the one before it ended.
PHASES = (
    ("the command's own imports", "imported"),
    ("networks, mirror, edge", "prepared"),
    ("the program's imports and lookups", "program begins"),
    ("keys, firewall, machine switched on", "site-host"),
    ("the machine boots, cloud-init begins", "apt begins"),
    ("apt: lists, downloads", "apt unpacks"),
    ("apt: packages; pip starts", "uv begins"),
    ("uv", "uv is there"),
    ("end of cloud-init", "cloud-init ends"),
    ("seen to be ready", "site-bootstrap-ready"),
    ("host's tools", "site-bootstrap-tools"),
    ("origin configured; app's archive, requirements, start", "site-release-live"),
    ("records, then the first page", "first page"),
)


def table(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """[{"phase", "seconds", "lowest", "highest"}, …]: the median of the runs, phase by phase."""
    each = [_durations(run) for run in runs]
    rows = []
    for phase, _ in PHASES:
        seconds = [durations[phase] for durations in each if phase in durations]
        if seconds:
            row = {"phase": phase, "seconds": statistics.median(seconds)}
            rows.append(row | {"lowest": min(seconds), "highest": max(seconds)})
    return rows


def _durations(run: Mapping[str, Any]) -> dict[str, float]:
    ends = {**{step["name"]: step["end"] for step in run["steps"]}, **run["marks"]}
    ends["program begins"] = min(step["begin"] for step in run["steps"])
    droplet = next(step for step in run["steps"] if step["type"].endswith(":Droplet"))
    ends["site-host"] = droplet["end"]  # the component around it has the same name
    durations, now = {}, 0.0
    for phase, mark in PHASES:
        if mark in ends:
            durations[phase] = max(0.0, ends[mark] - now)
            now = max(now, ends[mark])
    return durations
