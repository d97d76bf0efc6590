"""What is there: whole releases, which of them is live, and what no longer has to be kept."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

from releasing.host import CURRENT, FOLDER_BEFORE, INCOMING, RELEASES, ROOT, VENVS, run, write


def facts(id: str) -> dict[str, Any]:
    """Its release.json; empty where the release is not whole."""
    try:
        return json.loads((RELEASES / id / "release.json").read_text())
    except (OSError, ValueError):
        return {}


def code(release: str | dict[str, Any]) -> str:
    """What names its code, of a release or a manifest: a commit, or an archive's sha256."""
    found = facts(release) if isinstance(release, str) else release
    return found.get("commit") or found["sha256"]


def remember(id: str, **changes: object) -> None:
    write(RELEASES / id / "release.json", json.dumps(facts(id) | changes, indent=1, sort_keys=True), 0o600)


def releases() -> list[str]:
    """Ids of whole releases, oldest first."""
    return sorted((p.name for p in RELEASES.iterdir() if facts(p.name)), key=lambda id: int(id.split("-")[0]))


def live() -> str | None:
    """What current.sock names, where that is whole."""
    with contextlib.suppress(OSError):
        id = CURRENT.readlink().parent.name
        return id if facts(id) else None
    return None


def named(link: Path) -> str | None:
    """The whole release that FOLDER or FOLDER_BEFORE leads to."""
    with contextlib.suppress(OSError):
        id = link.readlink().name
        return id if facts(id) else None
    return None


def previous() -> str | None:
    """The release that served last before the live one and was not rolled back from."""
    served = [id for id in releases() if id != live() and facts(id)["state"] == "served"]
    return max(served, key=lambda id: facts(id)["served_at"], default=None)


def sock(id: str) -> Path:
    return Path("/run/app") / id / "http.sock"


def uwsgi_sock(id: str) -> Path:
    """Where it listens for uWSGI's own protocol, too, if it does."""
    return sock(id).with_name("uwsgi") / "app.sock"


def running() -> list[str]:
    out = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "app@*").stdout
    return [m[1] for m in re.finditer(r"^app@(\S+)\.service", out, re.M)]


def property_of(id: str, name: str) -> str:
    return run("systemctl", "show", "--value", "-p", name, f"app@{id}").stdout.strip()


def next_id(source: str) -> str:
    counter = ROOT / "sequence"  # apart from the folders: a failed release's number must not come again
    number = 1 + max(
        [int(counter.read_text()) if counter.exists() else 0, *(int(id.split("-")[0]) for id in releases())]
    )
    write(counter, str(number))
    return f"{number:04d}-{source}"


def digest_of(manifest: dict[str, Any]) -> str:
    """The manifest's name, environment included; keyed, so that a short secret can't be guessed from it."""
    key = ROOT / "key"
    if not key.exists():
        write(key, os.urandom(32).hex(), 0o600)
    return hmac.new(key.read_bytes(), json.dumps(manifest, sort_keys=True).encode(), "sha256").hexdigest()


def discard(id: str) -> None:
    """Remove a release that isn't live, running or not."""
    run("systemctl", "stop", f"app@{id}", check=False)
    run("systemctl", "reset-failed", f"app@{id}", check=False)
    with contextlib.suppress(FileNotFoundError):
        (RELEASES / id / "release.json").unlink()  # first: from here on it is half made
    shutil.rmtree(RELEASES / id, ignore_errors=True)


def drop_unused_venvs() -> bool:
    """Whether there were any."""
    used = {(RELEASES / id / "venv").readlink() for id in releases()}
    unused = set(VENVS.iterdir()) - used
    for venv in unused:
        shutil.rmtree(venv, ignore_errors=True)
    return bool(unused)


def prune(keep: int) -> bool:
    """Remove what is not kept; whether that took an environment along."""
    held = {live(), previous(), named(FOLDER_BEFORE)}
    for id in releases()[: -max(keep, 1)]:
        if id not in held:
            discard(id)
    dropped = drop_unused_venvs()
    wanted = {facts(id)["source"] for id in releases()}
    for archive in INCOMING.iterdir():  # a younger one may be the next deploy's, still on its way
        if archive.name.partition(".")[0] not in wanted and archive.lstat().st_mtime < time.time() - 3600:
            archive.unlink(missing_ok=True)
    return dropped
