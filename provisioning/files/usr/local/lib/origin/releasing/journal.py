"""What people are told: a unit's lines, who is at work, and who did what."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from origin_server.spec import NOT_LOADED
from releasing.environment import read_environment, secrets
from releasing.host import RELEASES, ROOT, Refused, run
from releasing.store import live

OPERATORS = Path("/etc/ssh/authorized_keys.d/deploy")
LOG = Path("/var/log/origin/releases.jsonl")
MAX_LOG = 1 << 20  # bytes; one older file of that size is kept
WAIT_FOR_LOCK = 60  # seconds


def tail(unit: str, lines: int, environment: dict[str, str]) -> str:
    """The unit's last journal lines, each value of the environment replaced by its name."""
    run("journalctl", "--sync", check=False)
    text = run("journalctl", "-u", unit, "-n", str(lines), "-o", "cat", "--no-pager", check=False).stdout.strip()
    return "".join(f"\n  | {line}" for line in redacted(text, secrets(environment)).splitlines())


def not_loaded(unit: str, lines: int, environment: dict[str, str], *, since: float) -> str:
    """The end of what the unit's app first failed to load with since then, in the same form; "" if it did not.

    The first, because the last may be half written: whoever keeps stopping is started again.
    """
    run("journalctl", "--sync", check=False)
    which = ["-u", unit, "-p", "err", f"--since=@{since:.6f}", "-n", "1000", "-o", "cat", "--no-pager"]
    said = run("journalctl", *which, check=False).stdout
    _, found, reasons = redacted(said, secrets(environment)).partition(f"{NOT_LOADED}\n")
    reason = reasons.partition(f"{NOT_LOADED}\n")[0].splitlines()
    return "".join(f"\n  | {line}" for line in [NOT_LOADED, *reason[-lines:]]) if found else ""


def redacted(text: str, shapes: dict[str, str]) -> str:
    """Each secret's value replaced by its name."""
    for shape, name in shapes.items():
        text = text.replace(shape, f"[{name}]")
    return text


def known_secrets() -> dict[str, str]:
    """Of every release that is here."""
    return _secrets_of(tuple(sorted(path.parent.name for path in RELEASES.glob("*/environment"))))


@functools.lru_cache(maxsize=1)
def _secrets_of(ids: tuple[str, ...]) -> dict[str, str]:
    shapes = {shape: name for id in ids for shape, name in secrets(read_environment(id)).items()}
    return dict(sorted(shapes.items(), key=lambda item: -len(item[0])))


def follow(matches: list[str], lines: int, *, forever: bool) -> None:
    """Print the last lines of what journalctl is told to match, and with `forever` those to come."""
    run("journalctl", "--sync", check=False)
    argv = ["journalctl", "-q", "-n", str(lines), "-o", "short-iso", "--no-hostname", "--no-pager", *matches]
    with subprocess.Popen([*argv, *["-f"] * forever], stdout=subprocess.PIPE, text=True, errors="replace") as journal:
        assert journal.stdout
        try:
            for line in journal.stdout:
                print(redacted(line, known_secrets()), end="", flush=True)
        finally:
            journal.terminate()


# Who did what


@functools.cache
def who() -> dict[str, str]:
    """The person: user and SSH address, and the key, by its fingerprint and its name in authorized_keys.

    The connection is in the environment of the nearest parent that has it (sudo drops it); sshd logged its key.
    """
    user, pid, found = os.environ.get("SUDO_USER", "root"), os.getppid(), None
    with contextlib.suppress(OSError, ValueError):
        while pid > 1 and not found:
            found = re.search(rb"SSH_CONNECTION=(\S+) (\d+) ", Path(f"/proc/{pid}/environ").read_bytes())
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    if not found:
        return {"who": user}
    address, port = found[1].decode(), found[2].decode()
    accepted = f"^Accepted publickey for .* from {re.escape(address)} port {port} "
    line = run("journalctl", "-q", "-r", "-n1", "-o", "cat", "-t", "sshd", "-t", "sshd-session", "--grep", accepted,
               check=False).stdout  # fmt: skip
    key = line.rpartition(" ")[2].strip()
    known = run("ssh-keygen", "-lf", OPERATORS, check=False).stdout.splitlines()
    name = next((words[2] for words in (row.split(maxsplit=2) for row in known) if words[1] == key), "")
    return {"who": f"{user}@{address}", "key": f"{key} {name.rpartition(' (')[0]}".strip()}


def note(**entry: object) -> None:
    """One line of LOG: what a command was asked, and what came of it. One without an end was killed."""
    at = time.strftime("%FT%TZ", time.gmtime())
    with contextlib.suppress(OSError):
        LOG.parent.mkdir(exist_ok=True)
        with os.fdopen(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640), "w") as log:
            log.write(json.dumps({"at": at, "pid": os.getpid(), **who(), "live": live()} | entry) + "\n")


def rotate() -> None:
    """Only for whoever holds the lock."""
    with contextlib.suppress(OSError):
        if LOG.stat().st_size > MAX_LOG:
            LOG.replace(LOG.with_suffix(".jsonl.1"))


def history() -> list[dict[str, Any]]:
    """What was done, oldest first, each once: as it ended, or as "killed" where it began and never did."""
    found: list[dict[str, Any]] = []
    begun: dict[tuple[int, str], dict[str, Any]] = {}
    for path in (LOG.with_suffix(".jsonl.1"), LOG):
        lines = path.read_text().splitlines() if path.exists() else []
        for entry in map(json.loads, lines):
            run = entry["pid"], entry["what"]
            if entry["result"] == "begun":
                found.append(entry | {"result": "killed"})
                begun[run] = found[-1]
            elif start := begun.pop(run, None):
                start.update(entry)
            else:
                found.append(entry)
    if begun and holder():
        list(begun.values())[-1]["result"] = "at work"
    return found


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    with (ROOT / "lock").open("a+") as lock:
        deadline = time.monotonic() + WAIT_FOR_LOCK
        while not taken(lock):
            if time.monotonic() > deadline:
                raise Refused(f"{holder()}; try again when it is done")
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(f"{int(time.time())} {os.getpid()} {what} by {who()['who']}")
        lock.flush()
        rotate()
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
    """Who is at work now, and since when. The kernel frees the lock of whoever dies: a dead owner never blocks."""
    with (ROOT / "lock").open("a+") as lock:
        if taken(lock):
            return None
        lock.seek(0)
        text = lock.read().split(maxsplit=2)
        if len(text) < 3:  # taken a moment ago
            return "busy"
        since, pid, owner = text
        return f"busy for {time.time() - float(since):.0f} s: {owner} (to stop and undo it: sudo kill {pid})"
