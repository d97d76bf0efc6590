"""Health, switch, drain; and what puts a host in order after a command that was killed."""

from __future__ import annotations

import contextlib
import http.client
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from releasing.environment import read_environment
from releasing.host import CURRENT, FOLDER, FOLDER_BEFORE, MAINTENANCE, RELEASES, ROOT, Refused, point, run, say
from releasing.journal import not_loaded, tail
from releasing.store import (
    code,
    discard,
    drop_unused_venvs,
    facts,
    live,
    named,
    previous,
    property_of,
    remember,
    running,
    sock,
    uwsgi_sock,
)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def unhealthy(id: str, timeout: float = 5) -> str | None:
    """None when it answers as the proxy will ask: 2xx, without a redirect, on a socket that the proxy may open."""
    health = facts(id)["health"]
    path, host = health.get("path", "/"), health.get("host", "localhost")
    headers = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1",
               "CF-Connecting-IP": "127.0.0.1", "User-Agent": "release-health"}  # fmt: skip
    try:
        for opened in [sock(id), *[uwsgi_sock(id)] * uwsgi_sock(id).exists()]:
            if not opened.stat().st_mode & stat.S_IWGRP:
                return f"{opened} is closed to the group upstream, so the proxy can't open it"
        connection = UnixConnection(sock(id), timeout=max(1.0, timeout))
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            to = f" to {answer.headers['Location']}" if answer.headers["Location"] else ""
            return None if 200 <= answer.status < 300 else f"GET {path} (Host: {host}) answered {answer.status}{to}"
    except FileNotFoundError:
        return f"it did not open its socket {sock(id)}"
    except (OSError, http.client.HTTPException) as error:
        return f"GET {path} (Host: {host}): {error!r}"


def start(id: str) -> None:
    """Start it and wait until it is healthy."""
    timeout = facts(id)["health"].get("timeout", 30)
    deadline, began = time.monotonic() + timeout, time.time()
    run("systemctl", "reset-failed", f"app@{id}", check=False)
    run("systemctl", "start", f"app@{id}", check=False)  # what became of it, the next lines find out
    while reason := unhealthy(id, deadline - time.monotonic()):
        if int(property_of(id, "NRestarts") or 0) >= 2:
            reason = "it keeps stopping"
        elif time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        else:
            reason += f" (waited {timeout} s)"
        said = (f"app@{id}", 30, read_environment(id))
        raise Refused(f"{id} is not healthy: {reason}" + (not_loaded(*said, since=began) or tail(*said)))


def switch(id: str) -> None:
    # The folders first, so that the first page of the new release finds its static files, and the last of the old one
    # its own. The same code once more (a restart) leaves the files of the one before where they are. For a proxy that
    # speaks uWSGI's own protocol this is the switch: it finds the socket through FOLDER.
    old = live()
    if old and code(old) != code(id):
        point(FOLDER_BEFORE, RELEASES / old)
    point(FOLDER, RELEASES / id)
    point(CURRENT, sock(id))
    with contextlib.suppress(OSError):  # a full disk can't undo the switch; the next command's sweep says it again
        remember(id, state="served", served_at=time.time())
    say(f"{id} is live")


def connections(id: str) -> int:
    """Connections on the release's sockets, accepted or still in its backlog (flag 0x10000 is the listener itself)."""
    paths = {str(sock(id)), str(uwsgi_sock(id))}
    rows = (line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    return sum(len(r) == 8 and r[7] in paths and not int(r[3], 16) & 0x10000 for r in rows)


def retire(id: str, drain: float) -> None:
    """Stop a release that is no longer live once nobody is connected, two looks in a row, or the bound is up."""
    deadline, quiet = time.monotonic() + drain, 0
    while quiet < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        quiet = 0 if connections(id) else quiet + 1
    if quiet < 2 and (left := connections(id)):
        say(f"{id}: {left} connection(s) cut after {drain} s of draining")
    run("systemctl", "stop", f"app@{id}", check=False)
    run("systemctl", "reset-failed", f"app@{id}", check=False)


def sweep() -> None:
    """Finish or undo what a killed or failed command left. Only for whoever holds the lock."""
    run(
        "systemctl",
        "stop",
        "release-fetch-*.service",
        "release-build-*.service",
        "release-command-*.service",
        check=False,
    )
    serving = live()
    if named(FOLDER) != serving:  # first: what is stopped below must have no visitor
        point(FOLDER, RELEASES / serving if serving else None)
    for id in {folder.name for folder in RELEASES.iterdir()} - {serving}:
        if facts(id).get("state", "new") == "new":
            discard(id)
    if serving and facts(serving)["state"] != "served":
        remember(serving, state="served", served_at=time.time())
    for id in running():
        if id != serving:
            retire(id, facts(id).get("drain", 0))
    if named(FOLDER_BEFORE) in (None, serving):
        point(FOLDER_BEFORE, RELEASES / before if (before := previous()) else None)
    drop_unused_venvs()
    for part in ROOT.glob(".*.new"):
        if part.name != f".{MAINTENANCE.name}.new":  # which is written without the lock
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def undone_unless_live(id: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if live() != id:
            with contextlib.suppress(OSError, Refused):  # the reason for the failure is worth more than this one's
                sweep()
        raise
