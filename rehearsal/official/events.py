"""The official engine's log of events, as the steps and problems that both engines tell of.

One JSON document a line: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from rehearsal.engine import Change, Problem, Result, Step
from rehearsal.engine.steps import Op
from rehearsal.engine.values import from_tree, masked
from rehearsal.providers.base import Props

Command = Literal["preview", "up", "destroy", "refresh", "import"]

_STACK = "pulumi:pulumi:Stack"
_OPS: dict[str, Op] = {**{op: op for op in get_args(Op)}, "create-replacement": "replace", "delete-replaced": "delete"}
_COLOR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")


def result(command: Command, code: int, log: Path, said: Sequence[str], seconds: float) -> Result:
    """What a run came to. `said` is what it printed: the reason of a failure that happened before any event."""
    steps: dict[tuple[str, str], Step] = {}
    problems: dict[str, list[Problem]] = {"error": [], "warning": []}
    outputs: Props = {}
    for event in _events(log):
        match event:
            case {"resOutputsEvent": {"metadata": metadata}} | {"resourcePreEvent": {"metadata": metadata}}:
                if command == "refresh":
                    _note_refreshed(steps, metadata)
                else:
                    _note(steps, metadata, failed=False)
                if metadata["type"] == _STACK and metadata["new"]:
                    outputs = _shown(metadata["new"]["outputs"])
            case {"resOpFailedEvent": {"metadata": metadata}}:
                _note(steps, metadata, failed=True)
            case {"diagnosticEvent": {"severity": "error" | "warning" as severity, "message": message, **rest}}:
                problems[severity].append(Problem(_COLOR.sub("", message).strip(), rest.get("urn", "")))
            case _:
                pass
    if code and not problems["error"]:
        problems["error"].append(Problem(_reason(said)))
    return Result(
        command=command,
        steps=tuple(steps.values()),
        outputs={} if command == "destroy" else outputs,
        errors=tuple(problems["error"]) if code else (),
        warnings=tuple(problems["warning"]),
        duration=seconds,
    )


def refused(command: Command, reason: str, seconds: float) -> Result:
    """A run that was not tried."""
    return Result(command=command, steps=(), outputs={}, errors=(Problem(reason),), warnings=(), duration=seconds)


def _events(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():  # not when the command was refused
        for line in log.read_text().splitlines():
            yield json.loads(line)


def _note(steps: dict[tuple[str, str], Step], metadata: dict[str, Any], *, failed: bool) -> None:
    """A step is told of when it begins and when it ends; "replace" alone, beside its two halves, is told of too."""
    op = metadata["op"]
    if op not in _OPS or op == "replace":
        return
    state = metadata["new"] or metadata["old"] or {}
    steps[op, metadata["urn"]] = Step(
        op=_OPS[op],
        urn=metadata["urn"],
        type=metadata["type"],
        parent=state.get("parent") or "",
        changes=tuple(_changes(metadata)),
        replaced=op == "delete-replaced",
        failed=failed,
    )


def _note_refreshed(steps: dict[tuple[str, str], Step], metadata: dict[str, Any]) -> None:
    """A refresh begins as such; it ends as what it found."""
    found = metadata["op"]
    if found in ("same", "update", "delete"):
        steps["refresh", metadata["urn"]] = Step(
            op="same" if found == "same" else "refresh",
            urn=metadata["urn"],
            type=metadata["type"],
            parent=(metadata["old"] or {}).get("parent") or "",
            changes=tuple(_changes(metadata)),
            gone=found == "delete",
        )


def _changes(metadata: dict[str, Any]) -> Iterator[Change]:
    old, new = (_shown((metadata[side] or {}).get("inputs")) for side in ("old", "new"))
    for path, diff in (metadata["detailedDiff"] or {}).items():
        yield Change(path, old.get(path), new.get(path), diff["diffKind"].endswith("-replace"))


def _shown(properties: dict[str, Any] | None) -> Props:
    """Secrets are in the log without their values, yet signed as in a state."""
    return masked(from_tree(properties or {}, lambda tree: tree["ciphertext"]))


def _reason(said: Sequence[str]) -> str:
    lines = [_COLOR.sub("", line) for line in said]
    first = next((index for index, line in enumerate(lines) if line.startswith("error:")), max(0, len(lines) - 10))
    return "\n".join(lines[first:]).removeprefix("error:").strip() or "pulumi failed and gave no reason"
