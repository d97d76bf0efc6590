"""What a run did, for people: a tree of changes, messages, outputs and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from .steps import Change, Event, Op, Problem, Result, Step
from .urns import name_of

_WIDTH = 60  # characters of a value that are shown
_LEAD = 8  # characters that are kept of what two long values begin with in common

_MARKS: dict[Op, tuple[str, str]] = {
    "same": ("", ""),
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "replace": ("+-", "magenta"),
    "delete": ("-", "red"),
    "read": (">", "cyan"),
    "import": ("=", "cyan"),
    "refresh": ("~", "yellow"),
}
_DOING: dict[Op, tuple[str, str]] = {
    "same": ("", "unchanged"),
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "replace": ("replacing", "replaced"),
    "delete": ("deleting", "deleted"),
    "read": ("reading", "read"),
    "import": ("importing", "imported"),
    "refresh": ("", "found changed"),
}


def show(result: Result, console: Console) -> None:
    """Prints it: in colour on a terminal, as plain lines elsewhere."""
    for style, line in lines(result):
        console.print(Text(line, style), soft_wrap=True)


def lines(result: Result) -> Iterator[tuple[str, str]]:
    """Style and text of each line."""
    if result.ok or result.command != "preview":  # what would have been done before it would have failed is beside it
        yield from _tree(result)
    for style, word, problems in (("yellow", "warning", result.warnings), ("red", "error", result.errors)):
        for problem in problems:
            yield style, _message(word, problem)
    if result.outputs and not result.errors:
        yield "", "Outputs:"
        width = max(map(len, result.outputs))
        for name, value in sorted(result.outputs.items()):
            yield "", f"  {name.ljust(width)}  {_shortened(value)}"
    yield ("bold", _summary(result))


def event_line(event: Event) -> str | None:
    """One line of rich markup for what happens just now, or None when it is not worth one."""
    if event.step is None:
        style = {"warning": "yellow", "error": "red"}.get(event.kind, "")
        line = _message(event.kind, Problem(event.text, event.urn))
        return f"[{style}]{escape(line)}[/]" if style else escape(line)
    mark, style = _MARKS[event.step.op]
    doing, done = _DOING[event.step.op]
    thing = escape(f"{_type(event.step)} {event.step.name}")
    if event.kind == "failed":
        return f"[red]x[/] {doing} {thing} failed"
    if event.kind == "begin":
        return f"[{style}]{mark}[/] {doing} {thing}" if doing else None
    return f"[{style}]{mark}[/] {done} {thing} ({event.seconds:.1f} s)" if doing and event.seconds >= 1 else None


def _tree(result: Result) -> Iterator[tuple[str, str]]:
    """Steps below their parents; those without a change only where something hangs on them."""
    known = {step.urn for step in result.steps}
    children: dict[str, list[Step]] = {}
    for step in result.steps:
        children.setdefault(step.parent if step.parent in known else "", []).append(step)
    worth = {step.urn for step in result.steps if step.op != "same"}
    for step in reversed(result.steps):  # children come after their parents, unless they are deleted
        if step.urn in worth:
            worth.add(step.parent)
    if not worth:
        return

    def below(parent: str, depth: int) -> Iterator[tuple[str, str]]:
        seen = set()
        for step in children.get(parent, ()):
            if step.urn not in worth:
                continue
            mark, style = _MARKS[step.op]
            yield style, f" {mark:2} {'  ' * depth}{_type(step)}  {step.name}{_remark(step)}"
            if step.op in ("update", "replace", "refresh"):
                for change in step.changes:
                    yield "", f"    {'  ' * depth}    {_changed(change)}"
            if step.urn not in seen:
                seen.add(step.urn)
                yield from below(step.urn, depth + 1)

    yield from below("", 0)


def _type(step: Step) -> str:
    """digitalocean:index/droplet:Droplet is digitalocean:Droplet to people."""
    package, *_, name = step.type.split(":")
    return f"{package}:{name}"


def _remark(step: Step) -> str:
    remarks = {
        "replaced": step.replaced,
        "kept, no longer managed": step.retained,
        "gone": step.gone,
        "failed": step.failed,
    }
    told = ", ".join(remark for remark, holds in remarks.items() if holds)
    return f"  ({told})" if told else ""


def _changed(change: Change) -> str:
    why = "  (replaces)" if change.replaces else ""
    if change.old is None:
        return f"+ {change.path}: {_shortened(change.new)}{why}"
    if change.new is None:
        return f"- {change.path}: {_shortened(change.old)}{why}"
    old, new = change.old, change.new
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _WIDTH:
        common = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        if common > _LEAD:
            old, new = f"…{old[common - _LEAD :]}", f"…{new[common - _LEAD :]}"
    return f"~ {change.path}: {_shortened(old)} → {_shortened(new)}{why}"


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) and value in ("[secret]", "[unknown]") else _json(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _message(word: str, problem: Problem) -> str:
    name = name_of(problem.urn)
    text = problem.text.replace("\n", "\n    ")
    where = f" {name}:" if name else ""
    told = f"{word}:{where} {text}" if word != "info" else f"{where} {text}".strip()
    return f"{told}\n    ({problem.urn})" if problem.urn and word == "error" else told


def _summary(result: Result) -> str:
    def words(op: Op) -> str:
        return f"to {op}" if result.command == "preview" and op != "same" else _DOING[op][1]

    if not result.ok and result.command == "preview":
        return f"Preview failed, nothing was changed ({result.duration:.1f} s)"
    counted = [
        f"{count} {words(op)}" for op, count in sorted(result.counts.items(), key=lambda item: item[0] == "same")
    ]
    state = "" if result.ok else " failed"
    return f"{result.command.capitalize()}{state}: {', '.join(counted) or 'nothing to do'} ({result.duration:.1f} s)"
