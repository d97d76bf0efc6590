"""A stack's life through `pulumi`: state, secrets, plugins and settings of its own, nothing of the user's touched.

The command is run rather than the SDK's Automation API, which keeps the stack's settings in the program's folder and
asks for the outputs twice after every run.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rehearsal.engine import Event, Result
from rehearsal.engine.state import StateLocked, locked
from rehearsal.passphrase import Passphrase
from rehearsal.plugins import home as plugins
from rehearsal.providers.base import Props

from . import events


class PulumiFailed(Exception):
    """`pulumi` is missing, or failed at something that no program has a part in."""


def installed() -> str | None:
    """The path of the user's `pulumi`."""
    return shutil.which("pulumi")


class OfficialEngine:
    """One stack of one project, its state in `folder`; the providers act on the world in `world`.

    `listener` hears each line that `pulumi` prints, as an event of the kind "line".
    """

    def __init__(
        self,
        folder: Path,
        project: str,
        stack: str,
        world: Path,
        listener: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.folder = folder
        self._project = project
        self._stack = stack
        self._world = world
        self._listener = listener
        self._outputs: dict[tuple[float, bool], Props] = {}

    @property
    def holds_state(self) -> bool:
        """Whether an `up` has begun here that no `destroy` has undone."""
        with contextlib.suppress(FileNotFoundError):
            latest = json.loads(self._checkpoint.read_text())["checkpoint"].get("latest") or {}
            return bool(latest.get("resources") or latest.get("pending_operations"))
        return False

    def preview(
        self,
        program_dir: Path,
        config: Mapping[str, Any] | None = None,
        secret_keys: Collection[str] = (),
        options: Sequence[str] = (),
    ) -> Result:
        """What `up` would do. `options` are the command's own."""
        return self._run("preview", program_dir, config, secret_keys, options)

    def up(
        self,
        program_dir: Path,
        config: Mapping[str, Any] | None = None,
        secret_keys: Collection[str] = (),
        options: Sequence[str] = (),
    ) -> Result:
        """Makes it so, without another preview."""
        return self._run("up", program_dir, config, secret_keys, ("--yes", "--skip-preview", *options))

    def destroy(self, options: Sequence[str] = ()) -> Result:
        """Deletes all that the state knows, without asking the program."""
        # Of what options leave standing the stack must remember the rest.
        return self._operation("destroy", self.folder, ("--yes", "--skip-preview", *(options or ["--remove"])))

    def refresh(self, options: Sequence[str] = ()) -> Result:
        """Reads all that the state knows, without asking the program."""
        return self._operation("refresh", self.folder, ("--yes", "--skip-preview", *options))

    def take_over(self, arguments: Sequence[str]) -> Result:
        """`pulumi import` of what exists: a type, a name and an id, or a file of them."""
        code = ("--generate-code=false", "--protect=false", "--yes", "--skip-preview")
        return self._operation("import", self.folder, (*code, *arguments))

    def outputs(self, *, show_secrets: bool = False) -> Props:
        """The stack's, as of the last `up`. Raises PulumiFailed."""
        if not self.holds_state:
            return {}
        known = self._checkpoint.stat().st_mtime, show_secrets
        if known not in self._outputs:
            shown = ["--show-secrets"] if show_secrets else []
            self._outputs = {known: json.loads(self._ask("stack", "output", "--json", *shown))}
        return self._outputs[known]

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "state" / ".pulumi" / "stacks" / self._project / f"{self._stack}.json"

    @property
    def _settings(self) -> Path:
        return self.folder / f"Pulumi.{self._stack}.yaml"

    @property
    def _passphrase(self) -> Path:
        return self.folder / "passphrase"

    def _run(
        self,
        command: events.Command,
        program_dir: Path,
        config: Mapping[str, Any] | None,
        secret_keys: Collection[str],
        options: Sequence[str],
    ) -> Result:
        self._lay()
        self._write_settings(config or {}, secret_keys)
        return self._operation(command, program_dir, ("--config-file", str(self._settings), *options))

    def _operation(self, command: events.Command, folder: Path, options: Sequence[str]) -> Result:
        """One run; its steps come from the log of events that the command can be asked for."""
        began = time.monotonic()
        self._lay()
        try:
            with locked(self.folder / "run.lock"), tempfile.TemporaryDirectory() as scratch:
                self._unlock()
                log = Path(scratch, "events")
                color = "always" if os.isatty(1) else "never"
                argv = [
                    command,
                    "--stack",
                    self._stack,
                    "--event-log",
                    str(log),
                    "--color",
                    color,
                    "--suppress-progress",
                    *options,
                ]
                code, said = self._stream(folder, argv)
                return events.result(command, code, log, said, time.monotonic() - began)
        except StateLocked as error:
            return events.refused(command, str(error), time.monotonic() - began)

    def _stream(self, folder: Path, argv: Sequence[str]) -> tuple[int, list[str]]:
        """Run it to its end, whatever interrupts us; its exit code and what it printed."""
        said: list[str] = []
        # When this process is killed, so is the engine; its plugins notice.
        command = ["setpriv", "--pdeathsig", "KILL", _found(), "-C", str(folder), "--non-interactive", *argv]
        with subprocess.Popen(
            command,
            env=self._environment(),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout
            lines = iter(process.stdout.readline, "")
            try:
                self._hear(lines, said)
            except KeyboardInterrupt:
                # The terminal has told the engine, too: it ends in good order.
                self._hear(lines, said)
                raise
        return process.returncode, said

    def _hear(self, lines: Iterator[str], said: list[str]) -> None:
        for line in lines:
            said.append(line.rstrip("\n"))
            self._listener(Event(kind="line", text=said[-1]))

    def _lay(self) -> None:
        """A folder in which `pulumi` is at home, and a stack in it."""
        if self._checkpoint.exists():
            plugins.lay(self.folder / "home")
            return
        (self.folder / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        plugins.lay(self.folder / "home")
        if not self._passphrase.exists():
            self._passphrase.touch(mode=0o600)
            self._passphrase.write_text(secrets.token_urlsafe(32))
        # All that commands need to know which ask for no program.
        (self.folder / "Pulumi.yaml").write_text(f"name: {self._project}\nruntime: python\n")
        self._ask("stack", "init")

    def _write_settings(self, config: Mapping[str, Any], secret_keys: Collection[str]) -> None:
        """The stack's settings as `pulumi` keeps them: what is secret is sealed before it gets to the disk."""
        salt = yaml.safe_load(self._settings.read_text())["encryptionsalt"]
        sealer = Passphrase(self._passphrase.read_text(), salt) if secret_keys else None
        values = {}
        for key, text in config.items():
            value = _as_object(text)
            values[key] = _sealed(value, sealer) if sealer and key in secret_keys else value
        self._settings.write_text(yaml.safe_dump({"encryptionsalt": salt, "config": values}))

    def _unlock(self) -> None:
        """Takes away the lock that a killed run has left; that none is at work our own lock says."""
        if any((self.folder / "state" / ".pulumi" / "locks").rglob("*.json")):
            self._ask("cancel", "--yes")

    def _ask(self, *argv: str) -> str:
        """Run what needs no program; what it printed. Raises PulumiFailed."""
        done = subprocess.run(
            [_found(), "-C", str(self.folder), "--non-interactive", *argv, "--stack", self._stack],
            env=self._environment(),
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise PulumiFailed(f"pulumi {' '.join(argv)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """Ours without anything that was meant for the user's own stacks."""
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        return {
            **theirs,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # --event-log is one
            plugins.WORLD: str(self._world),
        }


def _found() -> str:
    if (path := installed()) is None:
        raise PulumiFailed(
            "--engine pulumi: there is no `pulumi` on PATH; install it (https://www.pulumi.com/docs/install/), "
            "or leave the option out: the embedded engine needs nothing"
        )
    return path


def _as_object(text: Any) -> Any:
    with contextlib.suppress(json.JSONDecodeError, TypeError):
        value = json.loads(text)
        if isinstance(value, dict | list):
            return value
    return text


def _sealed(value: Any, sealer: Passphrase) -> Any:
    """Every text in it sealed; what is no text was never a secret of its own."""
    if isinstance(value, dict):
        return {name: _sealed(inner, sealer) for name, inner in value.items()}
    if isinstance(value, list):
        return [_sealed(inner, sealer) for inner in value]
    return {"secure": sealer.seal(value)} if isinstance(value, str) else value
