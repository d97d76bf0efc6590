"""One run's books: its steps, errors, warnings, who listens, and which secrets must not slip into any of them."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

from rehearsal.providers.base import ApiError

from .secrets import Redactor
from .state import Record
from .steps import Change, Event, Op, Problem, Step
from .values import Unsupported


class Failed(Exception):
    """The run is over; the reason is already among its errors."""


class Run:
    """Called from many threads. A preview is silent but for messages, since nothing happens in it."""

    def __init__(self, listener: Callable[[Event], None], *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.redact = Redactor()
        self.steps: list[Step] = []
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self._listener = listener
        self._listening = threading.Lock()

    @contextlib.contextmanager
    def reporting(self, urn: str = "") -> Iterator[None]:
        """Makes what goes wrong within an error of the run; after one, nothing begins. Raises Failed."""
        if self.errors:
            raise Failed
        try:
            yield
        except Failed:
            raise
        except (ApiError, Unsupported) as error:
            self.fail(str(error), urn)
            raise Failed from error
        except BaseException as error:  # of any other the SDK would not hear, and wait for ever
            self.fail(traceback.format_exc(), urn)
            raise Failed from error

    @contextlib.contextmanager
    def step(self, op: Op, record: Record, changed: tuple[Change, ...] = (), **marks: bool) -> Iterator[None]:
        """Within it the step happens; `marks` are the flags of a Step."""
        step = Step(op=op, urn=record.urn, type=record.type, parent=record.parent, changes=changed, **marks)
        self.steps.append(step)
        began = time.monotonic()

        def tell(kind: Literal["begin", "done", "failed"]) -> None:
            if not self.dry_run:
                self._emit(Event(kind=kind, step=step, seconds=time.monotonic() - began))

        tell("begin")
        try:
            yield
        except BaseException:
            failed = replace(step, failed=True)
            self.steps[:] = [failed if each is step else each for each in self.steps]
            tell("failed")
            raise
        tell("done")

    def fail(self, text: str, urn: str = "") -> None:
        self.errors.append(self.say("error", text, urn))

    def warn(self, text: str, urn: str = "") -> None:
        self.warnings.append(self.say("warning", text, urn))

    def say(self, kind: Literal["info", "warning", "error"], text: str, urn: str = "") -> Problem:
        """An error that is only said does not end the run: so it is with pulumi.log.error."""
        problem = Problem(self.redact(text), urn)
        self._emit(Event(kind=kind, text=problem.text, urn=urn))
        return problem

    def _emit(self, event: Event) -> None:
        with self._listening:
            self._listener(event)
