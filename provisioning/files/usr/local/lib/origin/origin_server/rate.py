"""How often one visitor may ask: counted in front of the app, alike behind every proxy and in every server.

The processes of a release share one file of fixed size beside its socket, in memory. Each visitor has one moment in it:
when all that he has asked for would be over at the permitted pace (the generic cell rate algorithm,
https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). What is refused costs him nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import html
import ipaddress
import math
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from origin_server.hop import App, Environ

SETS, WAYS = 1 << 14, 4
ENTRY = struct.Struct("=8sd")
"""A visitor's digest, and his moment on the system's monotonic clock."""
SECRET = 16
"""Bytes at the file's start that go into each digest: nobody can choose whom he shares a set with."""
SIZE = SECRET + SETS * WAYS * ENTRY.size


class Meter:
    """`requests` in `seconds` for each visitor, `burst` of them at once."""

    def __init__(self, path: Path, *, requests: int, seconds: int, burst: int) -> None:
        self.interval = seconds / requests
        self.ahead = self.interval * (burst - 1)
        self.threads = threading.Lock()
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self.file, SIZE)
        self.table = mmap.mmap(self.file, SIZE)
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        if not any(self.table[:SECRET]):
            self.table[:SECRET] = os.urandom(SECRET)
        fcntl.lockf(self.file, fcntl.LOCK_UN)
        self.secret = self.table[:SECRET]

    def wait(self, address: str) -> float:
        """Seconds until this visitor may ask again; 0 when he may now, and then it is counted."""
        digest = hashlib.blake2b(visitor(address), digest_size=8, key=self.secret).digest()
        start = SECRET + int.from_bytes(digest[:4], "big") % SETS * WAYS * ENTRY.size
        # The file's lock is between processes: between threads of one it does nothing.
        with self.threads:
            fcntl.lockf(self.file, fcntl.LOCK_EX)
            try:
                entries = list(ENTRY.iter_unpack(self.table[start : start + WAYS * ENTRY.size]))
                known = [way for way, (found, _) in enumerate(entries) if found == digest]
                # A full set forgets whoever is nearest to being free again.
                way = known[0] if known else min(range(WAYS), key=lambda way: entries[way][1])
                now = time.monotonic()
                moment = max(entries[way][1], now) if known else now
                if moment - now > self.ahead:
                    return moment - now - self.ahead
                ENTRY.pack_into(self.table, start + way * ENTRY.size, digest, moment + self.interval)
                return 0
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN)


def visitor(address: str) -> bytes:
    """Whom an address stands for: in IPv6 whoever has its /64, which is the least that anybody is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address.encode()
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed.ipv4_mapped.packed if parsed.ipv4_mapped else parsed.packed[:8]
    return parsed.packed


def limited(app: App, meter: Meter, paths: Sequence[str]) -> App:
    """`app`, but 429 for who asks too often for one of `paths` or what is below it; for anything where there is none.

    What has no id comes from the release tool and not through the proxy: its health checks always pass.
    """

    def held(path: str) -> bool:
        return not paths or any(path == one or path.startswith(one.rstrip("/") + "/") for one in paths)

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        id = environ.get("HTTP_X_REQUEST_ID")
        if not id or not held(environ.get("PATH_INFO", "")) or not (wait := meter.wait(environ["REMOTE_ADDR"])):
            return app(environ, start_response)
        # Else the connection would break under Apache as it sends on the rest, and it would say 502. An upgrade has no
        # body: what gevent has in its place is the bare connection, on which nothing comes.
        while "HTTP_UPGRADE" not in environ and environ["wsgi.input"].read(1 << 16):
            pass
        said = f"<h1>429 Too Many Requests</h1><p>Request {html.escape(id)}</p>"
        page = f"<!doctype html><title>429</title>{said}".encode()
        headers = [("Content-Type", "text/html"), ("Content-Length", str(len(page)))]
        headers += [("Retry-After", str(math.ceil(wait))), ("Cache-Control", "no-store")]
        start_response("429 Too Many Requests", headers)
        return [page]

    return application
