"""Running a Pulumi program the way the CLI's language host does, but in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import Settings, configure, run_in_stack, set_all_config

from .run import Failed
from .values import Unsupported


class ProgramError(Exception):
    """What the program ended with, in the words that its user should read."""


def run(
    folder: Path,
    *,
    monitor: Any,
    messages: Any,
    project: str,
    stack: str,
    config: Mapping[str, Any],
    secret_keys: Collection[str],
    dry_run: bool,
    parallel: int,
    interrupted: Callable[[], None],
) -> None:
    """Runs `folder/__main__.py` to its end, with the folder as working directory and first on sys.path.

    The SDK keeps its settings in context variables: a thread of its own gives every run fresh ones, and an event
    loop apart from the caller's. Working directory, environment and sys.modules belong to the process, so only one
    program runs at a time. Ctrl-C calls `interrupted`, which is to refuse further work, and waits for what is under
    way; a second one does not. Raises ProgramError, or Failed when the monitor has the reason already.
    """
    outcome: list[BaseException] = []

    def body() -> None:
        configure(
            Settings(
                project=project,
                stack=stack,
                monitor=monitor,
                engine=messages,
                parallel=parallel,
                dry_run=dry_run,
                organization="organization",
                root_directory=str(folder),
            )
        )
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        set_all_config(texts, list(secret_keys))
        try:
            _run_to_end(folder, parallel)
        except BaseException as error:
            outcome.append(error)

    with _as_if_alone(folder):
        thread = threading.Thread(target=body, name="program")
        thread.start()
        try:
            thread.join()
        except KeyboardInterrupt:
            interrupted()
            thread.join()
    if outcome:
        raise _explained(outcome[0], folder) from outcome[0]


def _run_to_end(folder: Path, parallel: int) -> None:
    def program() -> None:
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Futures that nobody awaits are how the SDK ends when something failed; asyncio would print each.
    loop.set_exception_handler(lambda loop, context: None)
    executor = ThreadPoolExecutor(parallel, thread_name_prefix="provider")
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(run_in_stack(program))
    finally:
        # What providers are doing is finished and recorded, whatever became of the program.
        executor.shutdown(wait=True)
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


@contextlib.contextmanager
def _as_if_alone(folder: Path) -> Iterator[None]:
    """Working directory, sys.path, sys.argv, environment and the program's modules as in a process of its own."""
    folder_before, path, argv = Path.cwd(), sys.path[:], sys.argv[:]
    modules, environment = set(sys.modules), dict(os.environ)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = [str(folder / "__main__.py")]
    os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"
    try:
        yield
    finally:
        os.chdir(folder_before)
        sys.path[:], sys.argv = path, argv
        os.environ.clear()
        os.environ.update(environment)
        ours = __name__.partition(".")[0]
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            is_theirs = Path(file).is_relative_to(folder) and "site-packages" not in file
            if is_theirs and name.partition(".")[0] != ours:
                del sys.modules[name]


def _explained(error: BaseException, folder: Path) -> Exception:
    """A user's mistake (pulumi.RunError, or an exception class with a true `user_error`) is told in its message
    alone; anything else with its traceback, from the program's own frames on."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, Failed):
            return link
        link = link.__cause__ or link.__context__
    if isinstance(error, SystemExit):
        return ProgramError(f"the program called sys.exit({error.code!r})")
    if refused := re.match(r"The Pulumi CLI does not support (.*?)\. Please update", str(error)):
        return ProgramError(str(Unsupported(refused[1])))  # a feature that the monitor did not name as its own
    if isinstance(error, pulumi.RunError) or getattr(error, "user_error", False):
        return ProgramError(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if Path(frame.filename).is_relative_to(folder)), 0)
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(frames[first:])
    return ProgramError("".join(told.format(chain=False)).rstrip())
