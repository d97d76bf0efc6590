"""What people are told: a unit's last lines, who is at work, and who did what."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from releasing.environment import secrets
from releasing.host import ROOT, Refused, run
from releasing.store import live

WAIT_FOR_LOCK = 60  # seconds


def tail(unit: str, lines: int, environment: dict[str, str]) -> str:
    """The unit's last journal lines, each value of the environment replaced by its name."""
    run("journalctl", "--sync", check=False)
    text = run("journalctl", "-u", unit, "-n", str(lines), "-o", "cat", "--no-pager", check=False).stdout.strip()
    for shape, name in secrets(environment).items():
        text = text.replace(shape, f"[{name}]")
    return "".join(f"\n  | {line}" for line in text.splitlines())


def who() -> str:
    """The person's SSH address, from the environment of the nearest parent that has it (sudo drops it)."""
    pid, found = os.getppid(), None
    with contextlib.suppress(OSError, ValueError):
        while pid > 1 and not found:
            found = re.search(rb"SSH_CONNECTION=([^ \0]+)", Path(f"/proc/{pid}/environ").read_bytes())
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return os.environ.get("SUDO_USER", "root") + (f"@{found[1].decode()}" if found else "")


def note(**entry: object) -> None:
    """One line of log.jsonl: what a command was asked, and what came of it. One without an end was killed."""
    at = time.strftime("%FT%TZ", time.gmtime())
    with contextlib.suppress(OSError), (ROOT / "log.jsonl").open("a") as log:
        log.write(json.dumps({"at": at, "who": who(), "live": live()} | entry) + "\n")


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    with (ROOT / "lock").open("a+") as lock:
        deadline = time.monotonic() + WAIT_FOR_LOCK
        while not taken(lock):
            if time.monotonic() > deadline:
                raise Refused(f"{holder()}; try again when it is done")
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(f"{time.time():.0f} {what} by {who()} (pid {os.getpid()})")
        lock.flush()
        note(what=what, result="begun")
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            note(what=what, result="failed", reason=reason, seconds=round(time.monotonic() - began, 2))
            raise
        note(what=what, result="done", seconds=round(time.monotonic() - began, 2))


def taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder() -> str | None:
    """Who is at work now, and since when."""
    with (ROOT / "lock").open("a+") as lock:
        if taken(lock):
            return None
        lock.seek(0)
        since, _, owner = lock.read().partition(" ")
        age = f" for {time.time() - float(since):.0f} s" if since else ""
        return f"busy{age}: {owner}"
