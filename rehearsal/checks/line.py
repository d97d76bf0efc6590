"""One line of the table that `rehearse check` prints: what it proves, in a user's words, and the function that does."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rehearsal.checks.site import Site

Depth = Literal["quick", "full"]
Status = Literal["passed", "failed", "skipped"]
Stage = Literal["together", "scan", "whoami", "alone"]


class Failed(Exception):
    """The promise does not hold; the text says what was seen instead."""


class Skipped(Exception):
    """The line can't be asked of this stack; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a line of the table came out. `detail` is one line of text; `seconds` is how long it took."""

    number: int
    title: str
    status: Status
    detail: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """`prove` returns what was seen, or raises Failed or Skipped.

    depth: "full" for what takes long or a world of its own. stage: "together" with others, since it only looks;
    "scan", which may go on while releases come and go; "whoami", which needs an app that says what reaches it; "alone",
    since it changes the site for a moment.
    """

    title: str
    prove: Callable[[Site], str]
    depth: Depth
    stage: Stage

    def run(self, number: int, site: Site) -> Outcome:
        """Never raises but for an interruption: what goes wrong in a check is that check's failure."""
        started = monotonic()
        status, detail = self._proven(site)
        return Outcome(
            number=number, title=self.title, status=status, detail=detail, seconds=round(monotonic() - started, 2)
        )

    def failed(self, number: int, why: str) -> Outcome:
        """The outcome of a line that could not even be tried."""
        return Outcome(number=number, title=self.title, status="failed", detail=why, seconds=0.0)

    def not_run(self, number: int, stack: str) -> Outcome:
        """The outcome of a line that was left out for its depth."""
        option = "" if stack == "dev" else f" --stack {stack}"
        detail = f"not run; ./rehearse check{option} --full --only {number} runs it"
        return Outcome(number=number, title=self.title, status="skipped", detail=detail, seconds=0.0)

    def _proven(self, site: Site) -> tuple[Status, str]:
        try:
            return "passed", self.prove(site)
        except Skipped as reason:
            return "skipped", str(reason)
        except Failed as reason:
            return "failed", str(reason)
        except Exception as error:
            return "failed", plain(error)


def plain(error: Exception) -> str:
    """An exception on one line; with the place in the code, when nobody foresaw it."""
    if isinstance(error, Failed):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    first = (str(error).strip().splitlines() or ["no reason given"])[0]
    return f"{type(error).__name__}: {first[:300]} ({place.filename.rpartition('/')[2]}:{place.lineno})"


def line(title: str, *, depth: Depth = "quick", stage: Stage = "together") -> Callable[[Callable[[Site], str]], Line]:
    """Make a function that takes the site a line of its module's check."""
    return lambda prove: Line(title=title, prove=prove, depth=depth, stage=stage)


def lines_of(module: ModuleType) -> Iterator[Line]:
    """The module's lines in the order in which they are written."""
    return (value for value in vars(module).values() if isinstance(value, Line))


def expect(holds: object, otherwise: str) -> None:
    """Raise Failed with what was seen, unless it holds."""
    if not holds:
        raise Failed(otherwise)
