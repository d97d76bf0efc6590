"""Waits for a site's first page as a visitor: `python visitor.py HOSTNAME CA PATH SECONDS`; standard library only.

Prints time.monotonic() of the first 200, or fails after SECONDS. Each try is a new connection, 0.1 s after the last.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys
import time


def first_page(hostname: str, ca: str, path: str, seconds: float) -> float:
    """time.monotonic() when the first 200 was there. Raises TimeoutError."""
    trust = ssl.create_default_context(cafile=ca)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPSConnection(hostname, timeout=5, context=trust)
            with contextlib.closing(connection):
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return time.monotonic()
        time.sleep(0.1)
    raise TimeoutError(f"no page of {hostname} within {seconds:.0f} s")


if __name__ == "__main__":
    print(first_page(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
