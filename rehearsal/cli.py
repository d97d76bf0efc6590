"""`rehearse up|preview|refresh|import|check|status|logs|ssh|release|visit|destroy`: a stack, on the stand-in cloud."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rehearsal import stackfile
from rehearsal.cloud import machine, preflight
from rehearsal.cloud.image import ImageFailed
from rehearsal.cloud.world import WorldFailed
from rehearsal.engine import Event, Result, display
from rehearsal.engine.state import StateLocked
from rehearsal.official import installed
from rehearsal.official.engine import PulumiFailed
from rehearsal.rehearsal import PROJECT, EngineName, NotUp, OtherEngine, Rehearsal

if TYPE_CHECKING:
    from rehearsal import checks

_MARK = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[yellow]-[/]"}

# What can go wrong without anybody's being at fault in here: told in its message alone.
_EXPECTED = (
    stackfile.StackFileError,
    NotUp,
    OtherEngine,
    PulumiFailed,
    StateLocked,
    WorldFailed,
    ImageFailed,
    OSError,
    subprocess.SubprocessError,
)
_UNWRAPPED = 10_000  # columns: what is not a terminal gets each line whole, to be searched


class Report:
    """What the person or the program at the other end reads: progress on stderr, the result on stdout."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(width=None if sys.stdout.isatty() else _UNWRAPPED)
        self.err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _UNWRAPPED)
        self._started = time.monotonic()
        self._quiet = False

    def say(self, text: str) -> None:
        """One line of progress."""
        self.progress(escape(text))

    def step(self, event: Event) -> None:
        """One line for what the engine is doing. What went wrong is not progress: the result says it.

        What `pulumi` prints is shown as it is: it tells the result, too.
        """
        if event.kind == "line":
            if not self._quiet:
                print(event.text, file=sys.stderr if self.as_json else sys.stdout, flush=True)
        elif not self._quiet and (self.as_json or event.kind not in ("warning", "error")):
            self.progress(display.event_line(event) or "")

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """The engine's steps and messages are not shown meanwhile."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def refuse(self, reason: object) -> int:
        """Why the command could not be tried; its exit code."""
        self.err.print(f"[red]rehearse:[/] {escape(str(reason))}")
        return 2

    def result(self, document: dict[str, Any], show: Callable[[], None]) -> None:
        """The result: one JSON document, or what `show` prints."""
        if self.as_json:
            print(json.dumps(document, indent=2, default=str))
        else:
            show()

    def progress(self, markup: str) -> None:
        """One line of rich markup, or nothing for none."""
        if markup:
            self.err.print(f"[dim]{time.monotonic() - self._started:6.1f}s[/] {markup}")

    def changes(self, result: Result, *, told: bool = False) -> int:
        """A run's steps, messages and outputs, unless these were `told` already; its exit code."""
        self.result(result.as_json(), lambda: None if told else display.show(result, self.out))
        return 0 if result.ok else 1

    def outcomes(self, outcomes: Sequence[checks.Outcome]) -> int:
        """The table of checks; its exit code."""
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]

        def show() -> None:
            table = Table(box=None, pad_edge=False)
            for heading in ("", "check", "what was seen", "s"):
                table.add_column(heading, justify="right" if heading == "s" else "left", overflow="fold")
            for outcome in outcomes:
                check, detail = f"{outcome.number} {outcome.title}", escape(outcome.detail)
                if self.out.is_terminal:
                    table.add_row(_MARK[outcome.status], check, detail, f"{outcome.seconds:.1f}")
                else:
                    self.out.print(f"{_MARK[outcome.status]} {check}: {detail} ({outcome.seconds:.1f} s)")
            if self.out.is_terminal:
                self.out.print(table)
            skipped = sum(outcome.status == "skipped" for outcome in outcomes)
            passed = len(outcomes) - len(failed) - skipped
            self.out.print(f"{passed} passed, {len(failed)} failed, {skipped} not run")

        self.result({"checks": [dataclasses.asdict(outcome) for outcome in outcomes]}, show)
        return 1 if failed else 0


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit code says whether it worked (2: it could not be tried)."""
    arguments = parser().parse_args(argv)
    report = Report(arguments.json)
    try:
        stack = stackfile.load(stackfile.find(PROJECT, arguments.stack))
        for name in stack.substituted:
            report.say(f"{name} is encrypted for another key: a random value stands in for it")
        if arguments.machines and (problems := preflight.problems()):
            return report.refuse("\n- ".join(("the rehearsal can't run here:", *problems)))
        rehearsal = Rehearsal(stack, report.say, report.step, arguments.engine)
        return arguments.run(rehearsal, report, arguments)
    except _EXPECTED as error:
        return report.refuse(error)
    except KeyboardInterrupt:
        report.err.print("rehearse: interrupted; run it again to finish, or `./rehearse destroy`")
        return 130


def _up(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    _say_engine(rehearsal, report, arguments.engine)
    # As `pulumi up` does: what a preview can refuse is refused before anything is made.
    report.say("reading the program")
    with report.quietly():
        looked = rehearsal.preview(options=_options(arguments))
    if not looked.ok:
        return report.changes(looked)
    rehearsal.prepare()
    code = _tell(rehearsal, report, rehearsal.up(options=_options(arguments)))
    if code == 0 and arguments.check:
        code = _check(rehearsal, report, arguments)
    if code == 0 and not report.as_json:
        _say_where(rehearsal, report, arguments.stack)
    return code


def _preview(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    _say_engine(rehearsal, report, arguments.engine)
    return _tell(rehearsal, report, rehearsal.preview(options=_options(arguments)))


def _refresh(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    rehearsal.require()
    return _tell(rehearsal, report, rehearsal.refresh(_options(arguments)))


def _import(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    rehearsal.require()
    return _tell(rehearsal, report, rehearsal.take_over(arguments.arguments))


def _tell(rehearsal: Rehearsal, report: Report, result: Result) -> int:
    return report.changes(result, told=rehearsal.engine_name == "pulumi")


def _say_engine(rehearsal: Rehearsal, report: Report, wanted: EngineName | None) -> None:
    if wanted is None and rehearsal.engine_name == "embedded" and installed() and not rehearsal.exists:
        report.say("`pulumi` is on PATH: with --engine pulumi the real engine does this")


def _options(arguments: argparse.Namespace) -> list[str]:
    """What is passed on to `pulumi`."""
    flags = [f"--{name.replace('_', '-')}" for name in ("diff", "expect_no_changes") if getattr(arguments, name)]
    return [*flags, *(word for urn in arguments.target for word in ("--target", urn))]


def _check(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    from rehearsal import checks

    rehearsal.require()
    depth = "full" if getattr(arguments, "full", False) else "quick"
    only = getattr(arguments, "only", None)
    report.say(f"checking ({depth})")

    def listener(outcome: checks.Outcome) -> None:
        report.progress(f"{_MARK[outcome.status]} {outcome.number} {outcome.title}")

    with report.quietly():
        outcomes = checks.run(rehearsal, depth=depth, only=only, listener=listener)
    return report.outcomes(outcomes)


def _status(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    rehearsal.require()
    outputs = rehearsal.engine.outputs()
    seen = rehearsal.on_host("sudo origin status --json; sudo release status --json")
    document = {"outputs": outputs, "machines": rehearsal.world.store.items(machine.COLLECTION)}
    document["host"] = [json.loads(line) for line in seen.stdout.splitlines()] if seen.returncode == 0 else seen.stderr
    report.result(document, lambda: report.out.print_json(data=document, default=str))
    return 0 if seen.returncode == 0 else 1


def _logs(rehearsal: Rehearsal, _: Report, arguments: argparse.Namespace) -> int:
    return _login(
        rehearsal,
        ["sudo", "journalctl", "--no-pager", "-n", str(arguments.lines), "-u", "app@*", "-u", rehearsal.proxy.unit],
    )


def _ssh(rehearsal: Rehearsal, _: Report, arguments: argparse.Namespace) -> int:
    return _login(rehearsal, arguments.command)


def _login(rehearsal: Rehearsal, command: Sequence[str], *, terminal: bool = False) -> int:
    rehearsal.require()
    with rehearsal.ssh() as login:
        asked = ["-t"] if (terminal or not command) and sys.stdin.isatty() else []
        return subprocess.run([*login[:-1], *asked, login[-1], *command]).returncode


def _release(rehearsal: Rehearsal, _: Report, arguments: argparse.Namespace) -> int:
    return _login(
        rehearsal, [shlex.join(["sudo", "release", *arguments.arguments])], terminal="shell" in arguments.arguments[:1]
    )


def _visit(rehearsal: Rehearsal, _: Report, arguments: argparse.Namespace) -> int:
    rehearsal.require()
    url = arguments.url
    if not url.startswith("http"):
        url = rehearsal.outputs()["url"].rstrip("/") + "/" + url.lstrip("/")
    seen = rehearsal.at("visitor", ["curl", "--silent", "--show-error", "--cacert", str(rehearsal.public_ca), url])
    sys.stdout.write(seen.stdout)
    sys.stderr.write(seen.stderr)
    return seen.returncode


def _destroy(rehearsal: Rehearsal, report: Report, arguments: argparse.Namespace) -> int:
    if not rehearsal.exists:
        report.say(f"nothing of stack {rehearsal.stack.stack} is standing")
        rehearsal.remove()
        return 0
    return _tell(rehearsal, report, rehearsal.destroy(_options(arguments)))


def _say_where(rehearsal: Rehearsal, report: Report, stack: str) -> None:
    option = "" if stack == "dev" else f" --stack {stack}"
    report.out.print(
        f"\n{rehearsal.outputs()['url']} is up, on a network of its own.\n"
        f"  visit it      ./rehearse visit{option} /\n"
        f"  look inside   ./rehearse ssh{option}    ./rehearse logs{option}    ./rehearse status{option}\n"
        f"  check it      ./rehearse check{option} --full\n"
        f"  take it down  ./rehearse destroy{option}",
        highlight=False,
    )


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rehearse", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Callable[..., int], text: str, *, machines: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument(
            "--stack", default=os.environ.get("REHEARSAL_STACK", "dev"), help="a stack's name, or the path of its file"
        )
        sub.add_argument("--json", action="store_true", help="print one JSON document, for programs")
        sub.add_argument(
            "--engine",
            choices=get_args(EngineName),
            help="embedded: needs nothing; pulumi: your own `pulumi`, with state and plugins of its own "
            "(default: the one that brought the stack up, else embedded)",
        )
        sub.set_defaults(run=run, machines=machines)
        return sub

    def passing_on(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        options = sub.add_argument_group("passed on to `pulumi` (--engine pulumi)")
        options.add_argument("--diff", action="store_true", help="show every changed property")
        options.add_argument("--target", action="append", default=[], metavar="URN", help="only this resource")
        options.add_argument("--expect-no-changes", action="store_true", help="fail when there is any change")
        return sub

    up = passing_on(command("up", _up, "create or update the stack on the stand-in cloud"))
    up.add_argument("--check", action="store_true", help="then run the quick checks")
    passing_on(command("preview", _preview, "show what `up` would change, and change nothing", machines=False))
    passing_on(command("refresh", _refresh, "take what was changed by other hands into the engine's state"))
    command(
        "import", _import, "make what exists the stack's: `pulumi import`, with its arguments after --"
    ).add_argument("arguments", nargs="+", metavar="ARGUMENT", help="a type, a name and an id; options come after --")
    check = command("check", _check, "prove what the stack promises")
    check.add_argument("--full", action="store_true", help="also what takes minutes or worlds of its own")
    check.add_argument("--only", nargs="+", type=int, metavar="N", help="only the checks of these numbers")
    command("status", _status, "what stands, and what is live")
    command("logs", _logs, "the app's and the proxy's journal").add_argument("--lines", type=int, default=100)
    command("ssh", _ssh, "log in to the host from the operator's place").add_argument("command", nargs="*")
    release = command("release", _release, "a command of the host's release tool: status, rollback, exec, …")
    release.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="as on the host: status, exec -- flask routes, …"
    )
    command("visit", _visit, "fetch a page as a visitor").add_argument("url", nargs="?", default="/")
    passing_on(command("destroy", _destroy, "take everything down; nothing is left"))
    return parser
