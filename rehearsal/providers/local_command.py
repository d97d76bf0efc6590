"""pulumi-command's local resource: a command on the machine that the program is run from.

Source: pulumi-command 1.2.1, provider/pkg/provider/local/{base,command,commandController,commandOutputs}.go.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from dataclasses import replace
from typing import Any, ClassVar

from rehearsal.providers.base import UNKNOWN, ApiError, Diff, Failure, Property, Props, Resource
from rehearsal.providers.cloudflare import http_api
from rehearsal.providers.shapes import not_rehearsed, words
from rehearsal.providers.ssh import SESSION_LIMIT

_SHELL = ("/bin/sh", "-c")


class LocalCommand(Resource):
    """Runs `create`, `update` (or else `create`) and `delete` here, with this process's environment.

    What it finds there as Cloudflare's address is the stand-in's.
    """

    token = "command:local:Command"
    inputs: ClassVar = {
        "create": Property(),
        "update": Property(),
        "delete": Property(),
        "stdin": Property(),
        "environment": Property(kind=dict),
        "interpreter": Property(kind=list),
        "dir": Property(),
        "triggers": Property(kind=list, replace=True),
        "logging": Property(choices=("stdout", "stderr", "stdoutAndStderr", "none")),
        "addPreviousOutputInEnv": Property(kind=bool),
        "archivePaths": Property(kind=list),
        "assetPaths": Property(kind=list),
    }
    outputs: ClassVar = {"stdout": Property(), "stderr": Property()}

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        failures += [
            *not_rehearsed(checked, ("archivePaths", "assetPaths")),
            *words("interpreter", news.get("interpreter")),
        ]
        environment = checked.get("environment")
        for name, value in environment.items() if isinstance(environment, dict) else ():
            if not isinstance(value, str) and value is not UNKNOWN:
                failures.append(Failure(f"environment.{name}", f"must be str, not {type(value).__name__}"))
        return checked, failures

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        # The provider's framework takes every output to depend on every input (pulumi-go-provider, infer/resource.go).
        return replace(found, renews=tuple(self.outputs) if found.changes else ())

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        outputs = self._run(inputs, inputs.get("create"), {}) or {"stdout": "", "stderr": ""}
        return f"{name}{secrets.token_hex(4)}", {**inputs, **outputs}

    def read(self, id: str, outputs: Props) -> Props | None:
        # The real provider reads nothing back; nor can it import.
        if not outputs:
            raise ApiError(f"{self.token} can't be imported")
        return outputs

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        before = {stream: old_outputs.get(stream, "") for stream in self.outputs}
        return {**inputs, **before, **(self._run(inputs, inputs.get("update") or inputs.get("create"), before) or {})}

    def delete(self, id: str, outputs: Props) -> None:
        self._run(outputs, outputs.get("delete"), outputs)

    def _run(self, props: Props, command: str | None, before: Props) -> Props | None:
        """What it printed, without the last newline; None when there is nothing to run."""
        if command is None:
            return None
        previous = {
            f"PULUMI_COMMAND_{stream.upper()}": before[stream]
            for stream in self.outputs
            if props.get("addPreviousOutputInEnv") is not False and before.get(stream)
        }
        with http_api.serving(self.world) as address:
            done = self._ended(props, command, {"CLOUDFLARE_BASE_URL": address, **previous})
        if done.returncode != 0:
            quoted = json.dumps(command, ensure_ascii=False)
            raise ApiError(f"exit status {done.returncode}: running {quoted}:\n{done.stdout}{done.stderr}")
        return {"stdout": done.stdout.removesuffix("\n"), "stderr": done.stderr.removesuffix("\n")}

    def _ended(self, props: Props, command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        # When this process is killed, so is the command: nothing of a rehearsal goes on by itself.
        argv: list[Any] = ["setpriv", "--pdeathsig", "KILL", *(props.get("interpreter") or _SHELL), command]
        try:
            return subprocess.run(
                argv,
                input=props.get("stdin") or "",
                env={**os.environ, **(props.get("environment") or {}), **environment},
                cwd=props.get("dir"),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SESSION_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise ApiError(f"gave up after {SESSION_LIMIT} s: {command!r} did not finish") from late
        except OSError as error:
            raise ApiError(f"{command!r} could not be run: {error}") from error
