"""What a run does, as data: steps with their property changes, events while it works, and the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rehearsal.providers.base import Props, same

from .urns import name_of
from .values import masked, plain

Op = Literal["same", "create", "update", "replace", "delete", "read", "import", "refresh"]


@dataclass(frozen=True)
class Change:
    """One changed leaf; values are masked. None stands for "was not there"."""

    path: str
    old: Any
    new: Any
    replaces: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation on one resource.

    A replacement is a "replace", beside a "delete" with `replaced` set for the resource that makes room: before it
    when it is deleted first, at the end of the run otherwise. A "refresh" that finds a resource `gone` drops it.
    """

    op: Op
    urn: str
    type: str
    parent: str = ""
    changes: tuple[Change, ...] = ()
    replaced: bool = False
    retained: bool = False
    gone: bool = False
    failed: bool = False

    @property
    def name(self) -> str:
        return name_of(self.urn)


@dataclass(frozen=True)
class Problem:
    """What went wrong, with which resource if it was one; secrets are taken out."""

    text: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """For who watches: a step begins, is done (after `seconds`) or failed; or somebody has something to say.

    In a preview there are only messages, since nothing happens. A "line" is what the official engine printed.
    """

    kind: Literal["begin", "done", "failed", "info", "warning", "error", "line"]
    step: Step | None = None
    seconds: float = 0.0
    text: str = ""
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The end of a run. `outputs` are the stack's, masked."""

    command: Literal["preview", "up", "destroy", "refresh", "import"]
    steps: tuple[Step, ...]
    outputs: Props
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    duration: float  # seconds

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def counts(self) -> dict[Op, int]:
        """Steps by op. The deletion of a replaced resource belongs to its replacement."""
        ops: list[Op] = [step.op for step in self.steps if not step.replaced and not step.failed]
        return {op: ops.count(op) for op in dict.fromkeys(ops)}

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        steps = [{**asdict(step), "name": step.name} for step in self.steps]
        return {**asdict(self), "ok": self.ok, "counts": self.counts, "steps": steps}


def changes(old: Props, new: Props, names: Iterable[str], replaces: Iterable[str] = ()) -> tuple[Change, ...]:
    """The leaves that differ within the named properties."""
    replacing = frozenset(replaces)
    return tuple(
        Change(path, masked(before), masked(after), name in replacing)
        for name in dict.fromkeys(names)
        for path, before, after in _leaves(name, old.get(name), new.get(name), top=True)
    )


def _leaves(path: str, old: Any, new: Any, *, top: bool = False) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from _leaves(f"{path}.{name}", old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(f"{path}[{index}]", before, after)
    elif isinstance(old, list) and isinstance(new, list):
        # What is in one and not in the other, wherever it stands: one rule among many is not to be searched for.
        added = list(enumerate(new))
        for index, item in enumerate(old):
            if kept := next((each for each in added if same(plain(item), plain(each[1]))), None):
                added.remove(kept)
            else:
                yield f"{path}[{index}]", item, None
        yield from ((f"{path}[{index}]", None, item) for index, item in added)
    elif top or not same(plain(old), plain(new)):
        # A property that the provider calls changed is shown even when its inputs are the same.
        yield path, old, new
