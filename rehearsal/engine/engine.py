"""The embedded engine: a Pulumi program's life without the CLI."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from rehearsal.providers.base import Function, Props, Resource

from . import program
from .deployment import Deployment
from .execution import Execution
from .monitor import Messages, Monitor
from .run import Failed, Run
from .state import Record, State, StateLocked, locked
from .steps import Event, Result
from .urns import urn_of
from .values import Unsupported, masked, plain

Command = Literal["preview", "up", "destroy", "refresh"]


class Engine:
    """One stack of one project: its state lives in `home`, its providers' handlers are given.

    `listener` hears every event, from any thread, one at a time. At most `parallel` providers work side by side.
    """

    def __init__(
        self,
        home: Path,
        project: str,
        stack: str,
        resources: Mapping[str, Resource],
        functions: Mapping[str, Function],
        listener: Callable[[Event], None] = lambda event: None,
        *,
        parallel: int = 16,
    ) -> None:
        self.folder = Path(home)
        self._path = self.folder / "state.json"
        self._project = project
        self._stack = stack
        self._resources = resources
        self._functions = functions
        self._listener = listener
        self._parallel = parallel

    def preview(
        self,
        program_dir: Path,
        config: Mapping[str, Any] | None = None,
        secret_keys: Collection[str] = (),
        options: Sequence[str] = (),
    ) -> Result:
        """What `up` would do. Writes nothing, and locks nobody out. `options`, the official engine's, are refused."""
        return self._run("preview", program_dir, config or {}, secret_keys, options)

    def up(
        self,
        program_dir: Path,
        config: Mapping[str, Any] | None = None,
        secret_keys: Collection[str] = (),
        options: Sequence[str] = (),
    ) -> Result:
        """Makes it so. `config` holds "project:key" to text (or what JSON makes a text of)."""
        return self._run("up", program_dir, config or {}, secret_keys, options)

    def destroy(self, options: Sequence[str] = ()) -> Result:
        """Deletes all that the state knows, without asking the program."""
        return self._session("destroy", lambda execution: execution.delete_all(execution.state.records), options)

    def refresh(self, options: Sequence[str] = ()) -> Result:
        """Reads all that the state knows, without asking the program."""

        def read_all(execution: Execution) -> None:
            for record in execution.state.records:
                with execution.run.reporting(record.urn):
                    execution.refresh(record)

        return self._session("refresh", read_all, options)

    @property
    def holds_state(self) -> bool:
        """Whether an `up` has begun here."""
        return self._path.exists()

    def outputs(self, *, show_secrets: bool = False) -> Props:
        """The stack's, as of the last `up`. Raises StateLocked."""
        outputs = self._outputs(self._open(read_only=True))
        return plain(outputs) if show_secrets else masked(outputs)

    def state(self) -> list[dict[str, Any]]:
        """All records, masked. Raises StateLocked."""
        names = [each.name for each in fields(Record)]
        return [
            {name: masked(getattr(record, name)) for name in names} for record in self._open(read_only=True).records
        ]

    def _run(
        self,
        command: Command,
        folder: Path,
        config: Mapping[str, Any],
        secret_keys: Collection[str],
        options: Sequence[str],
    ) -> Result:
        def run_program(execution: Execution) -> None:
            run, deployment = execution.run, Deployment(execution, self._functions)
            for key in secret_keys:
                run.redact.learn(config.get(key), secret=True)
            try:
                program.run(
                    Path(folder).resolve(),
                    monitor=Monitor(run, deployment, project=self._project, stack=self._stack),
                    messages=Messages(run),
                    project=self._project,
                    stack=self._stack,
                    config=config,
                    secret_keys=secret_keys,
                    dry_run=run.dry_run,
                    # One at a time, so that a preview reads the same every time.
                    parallel=1 if run.dry_run else self._parallel,
                    interrupted=lambda: run.fail("interrupted"),
                )
            except program.ProgramError as error:
                run.fail(str(error))

        return self._session(command, run_program, options)

    def _session(self, command: Command, work: Callable[[Execution], None], options: Sequence[str]) -> Result:
        began, looking, outputs = time.monotonic(), command == "preview", {}
        run = Run(self._listener, dry_run=looking)
        try:
            if options:
                raise Unsupported(options[0])
            with contextlib.nullcontext() if looking else locked(self._path.with_suffix(".lock")):
                execution = Execution(run, self._open(read_only=looking), self._resources)
                with contextlib.suppress(Failed):
                    execution.recover()
                    work(execution)
                outputs = masked(self._outputs(execution.state))
        except (StateLocked, Unsupported) as error:
            run.fail(str(error))
        return Result(
            command=command,
            steps=tuple(run.steps),
            outputs=outputs,
            errors=tuple(run.errors),
            warnings=tuple(run.warnings),
            duration=time.monotonic() - began,
        )

    def _open(self, *, read_only: bool) -> State:
        return State(self._path, read_only=read_only)

    def _outputs(self, state: State) -> Props:
        stack = f"{self._project}-{self._stack}"
        record = state.find(urn_of(self._stack, self._project, "", "pulumi:pulumi:Stack", stack))
        return record.outputs if record else {}
