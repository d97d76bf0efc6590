"""The host under the release tool: its places, its commands, its files."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/srv/app")
RELEASES, VENVS, INCOMING = ROOT / "releases", ROOT / "venvs", ROOT / "incoming"
CURRENT, FOLDER, FOLDER_BEFORE = ROOT / "current.sock", ROOT / "current", ROOT / "previous"
SHARED = ROOT / "shared"
MAINTENANCE = ROOT / "maintenance.html"
UNIT = Path("/etc/systemd/system/app@.service")

BUILD_SANDBOX = [
    *("User=build", "CacheDirectory=uv", "UMask=0022", "NoNewPrivileges=yes", "CapabilityBoundingSet="),
    *("PrivateTmp=yes", "PrivateDevices=yes", "ProtectHome=yes", "ProtectSystem=full", "ProtectKernelTunables=yes"),
    *("ProtectControlGroups=yes", "RestrictSUIDSGID=yes", "InaccessiblePaths=-/etc/origin"),
]


class Refused(Exception):
    """Nothing changed for visitors; the text is for the person who ran the command."""


def say(text: str) -> None:
    with contextlib.suppress(OSError):  # the caller may be gone; a switch is finished all the same
        print(text, flush=True)


def run(*argv: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace")
    if check and done.returncode:
        raise Refused(f"{Path(argv[0]).name} {argv[1]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Whole or not at all, whenever the power goes."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    move(new, path)


def move(new: Path, path: Path) -> None:
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def point(link: Path, target: Path | None) -> None:
    """Make a link lead to target, in one step; None removes it."""
    if target is None:
        link.unlink(missing_ok=True)
        return
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    move(new, link)


def step(unit: str, properties: list[str], timeout: int, *argv: str | Path) -> str | None:
    """Run argv in a unit of its own, which outlives neither its bound nor the next sweep; None or why it failed."""
    flags = [f"--property={p}" for p in (*properties, f"RuntimeMaxSec={timeout}")]
    done = run(
        "systemd-run",
        "--wait",
        "--collect",
        "--expand-environment=no",
        f"--unit={unit}",
        f"--description={unit}",
        *flags,
        "--",
        *argv,
        check=False,
    )
    if not done.returncode:
        return None
    return f"took longer than {timeout} s" if "result: timeout" in done.stderr else f"exit code {done.returncode}"


@contextlib.contextmanager
def as_builder() -> Iterator[None]:
    """Whatever an archive tries, it tries as a user with nothing of its own."""
    user = pwd.getpwnam("build")
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
