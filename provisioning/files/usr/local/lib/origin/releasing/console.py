"""A command or a shell where the app runs: its user, its environment, its sandbox, its packages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from releasing.build import sandbox
from releasing.host import RELEASES, run
from releasing.journal import note


def inside(id: str, argv: list[str], *, terminal: bool) -> int:
    """Run argv in release `id`; its exit code. Standard input and output are the caller's, and so is its life."""
    unit = f"app-console-{os.getpid()}"
    properties = [f"--property={line}" for line in sandbox(id)]
    signal.signal(signal.SIGHUP, signal.default_int_handler)  # unlike a release, it ends with its connection
    command = [
        "systemd-run",
        "--quiet",
        "--wait",
        "--collect",
        "--expand-environment=no",
        f"--unit={unit}",
        f"--description={unit}",
    ]
    term = [f"--setenv=TERM={os.environ.get('TERM', 'linux')}"]
    way = ["--pty", *term] if terminal and sys.stdin.isatty() else ["--pipe"]
    # Not its arguments: a password may be among them.
    what, result, code = f"{'shell' if terminal else 'exec'} {Path(argv[0]).name}", "killed", 1
    try:
        code = subprocess.run([*command, *way, *properties, "--", RELEASES / id / "run", *argv]).returncode
        result = f"exit code {code}"
    finally:
        run("systemctl", "stop", unit, check=False)
        note(what=what, result=result)
    return code
