"""Requests by fortio, the same client for both sides: it keeps connections, shows a client certificate, opens a unix
socket, and waits for an answer before it asks again on a connection, so that a slow side is not flooded.

ab, wrk and h2load can't open a unix socket or show a certificate. https://fortio.org, built once by the Go toolchain.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODULE = "fortio.org/fortio@v1.66.5"
CONNECTIONS = 16


class NoProgram(RuntimeError):
    """fortio is neither here nor can it be built; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one side carried: answers a second, and milliseconds until an answer."""

    rate: float
    median: float
    p99: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """How a side is reached: in front of the command a place to stand, and fortio's options."""

    place: Sequence[str]
    options: Sequence[str]
    base: str
    """The address in front of a path."""


def put(
    program: Path, on: Target, path: str, *, seconds: float, connections: int = CONNECTIONS, keep: bool = True
) -> Load:
    """Ask for a path again and again, on connections that are kept or not. RuntimeError: not all 200."""
    options = ["-qps", "0", "-c", str(connections), "-t", f"{seconds}s", "-r", "0.00002", "-p", "50,99"]
    options += [f"-keepalive={str(keep).lower()}", "-no-reresolve"]  # there are no names to resolve
    argv = [*on.place, str(program), "load", "-quiet", "-json", "-", *options, *on.options, f"{on.base}{path}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"fortio at {path}: {done.stderr.strip()[-2000:]}")
    said = json.loads(done.stdout)
    if set(said["RetCodes"]) != {"200"}:
        raise RuntimeError(f"{path} was answered with {said['RetCodes']}")
    median, p99 = (1000 * each["Value"] for each in said["DurationHistogram"]["Percentiles"])
    return Load(rate=said["ActualQPS"], median=median, p99=p99)


def program(folder: Path) -> Path:
    """fortio, from PATH or built in the folder, which takes a minute or two once. Raises NoProgram."""
    if found := shutil.which("fortio"):
        return Path(found)
    built = folder / "fortio"
    if not built.exists():
        if not shutil.which("go"):
            raise NoProgram(f"fortio is not here; do: install Go, which builds it, or `go install {MODULE}` elsewhere")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["go", "install", MODULE], env={**os.environ, "GOBIN": str(folder)}, capture_output=True, text=True
        )
        if done.returncode:
            raise NoProgram(f"fortio was not built: {done.stderr.strip()[-2000:]}")
    return built
