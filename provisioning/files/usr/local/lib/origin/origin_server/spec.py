"""What a server is told, and how large the host is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "ORIGIN_SERVER"
"""The environment variable in which the spec reaches the workers of servers that are programs of their own."""

STOP = 8
"""Seconds that a stopping server may finish requests in: less than the unit's TimeoutStopSec=10s. A release is drained
before (app.drain); this is for a reboot and for what still hangs then."""


NOT_LOADED = "The app did not load:"
"""Above the reason in the journal, where the release tool looks for it."""


@dataclass(frozen=True)
class Spec:
    server: str
    entrypoint: str
    socket: str
    """The path to listen on, for the proxy's group only."""
    access_log: bool
    defaults: dict[str, Any]
    """Options that the app's own configuration file may change."""
    options: dict[str, Any]
    """Options that the stack says: they win over that file."""
    rate_limit: dict[str, Any] | None = None
    """rate.Meter's arguments, and the `paths` that it is for."""

    def __getitem__(self, name: str) -> Any:
        """An option of a server without a configuration file of its own; None is for the host to fill in."""
        return self.options.get(name, self.defaults.get(name))


def read(text: str) -> Spec:
    os.environ[VARIABLE] = text
    return Spec(**json.loads(text))


def listen(path: str, backlog: int = 2048) -> socket.socket:
    """A listening socket that its owner and the proxy's group may open, nobody else at any moment."""
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o117)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    listener.listen(backlog)
    return listener


def cores() -> int:
    return len(os.sched_getaffinity(0))


def processes(wanted: int) -> int:
    """As many of `wanted` processes as memory bears, one at least.

    A worker with a Flask app and its libraries takes some 100 MiB; half of the memory is left to the release that
    is being replaced, and to the proxy and the system.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(wanted, memory // 2 // (100 << 20)))
