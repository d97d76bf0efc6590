"""A bounded, steady load on an origin, as Cloudflare puts it there: python3, no packages.

`steady_load.py ADDRESS CLIENT`, the latter a PEM file with the zone's client certificate and its key.

Keep-alive and new connections, GET and POST, small and large bodies, some requests of 5 seconds, and a client that
hangs: it asks for much and reads nothing. Ends when it is terminated, or after 10 minutes, and prints one JSON line:
how many were answered right, and each that was not.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import sys
import threading
import time

KINDS = {  # method, path, body, what must come back
    "get": ("GET", "/health", b"", b"ok"),
    "post": ("POST", "/echo", b"x" * 2000, b"x" * 2000),
    "upload": ("POST", "/size", b"y" * 2_000_000, b"2000000"),
    "slow get": ("GET", "/slow", b"", b"slow"),
    "slow post": ("POST", "/slow", b"z" * 5000, b"slow"),
}
WORKERS = [  # kind, keep-alive, pause in seconds
    *[("get", True, 0.04)] * 4,
    *[("get", False, 0.06)] * 3,
    *[("post", True, 0.05)] * 2,
    *[("post", False, 0.06)] * 2,
    *[("slow get", True, 0.1)] * 2,
    ("slow post", False, 0.1),
    ("upload", False, 0.5),
]

HEADERS = {"CF-Connecting-IP": "198.18.64.10"}

over = threading.Event()
answered = dict.fromkeys(KINDS, 0)
lost: list[str] = []
milliseconds: list[float] = []


def connect() -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection((address, 443), timeout=60), server_hostname="example.com")


class Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = connect()


def ask(connection: Connection, kind: str) -> bool:
    method, path, body, expected = KINDS[kind]
    began = time.monotonic()
    try:
        connection.request(method, path, body=body or None, headers=HEADERS)
        answer = connection.getresponse()
        found = answer.read()
    except (OSError, http.client.HTTPException) as error:
        lost.append(f"{kind}: {error!r}")
        return False
    if answer.status != 200 or found != expected:
        lost.append(f"{kind}: {answer.status} {found[:80]!r}")
        return False
    answered[kind] += 1
    if kind in ("get", "post"):
        milliseconds.append(1000 * (time.monotonic() - began))
    return True


def work(kind: str, keep_alive: bool, pause: float) -> None:
    connection = None
    while not over.is_set():
        connection = connection or Connection("example.com")
        if not ask(connection, kind) or not keep_alive:
            connection.close()
            connection = None
        time.sleep(pause)


def hang() -> None:
    """Holds a connection for 4 seconds without reading the answer, again and again."""
    while not over.is_set():
        with connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /much HTTP/1.1\r\nHost: example.com\r\n\r\n")
            over.wait(4)


if __name__ == "__main__":
    address, client = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who verifies the origin is tested elsewhere
    context.load_cert_chain(client)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threads = [threading.Thread(target=work, args=worker) for worker in WORKERS] + [threading.Thread(target=hang)]
    for thread in threads:
        thread.start()
    signal.sigtimedwait({signal.SIGTERM}, 600)
    over.set()
    for thread in threads:
        thread.join()
    ordered = sorted(milliseconds)
    print(
        json.dumps(
            {
                "answered": answered,
                "lost": lost,
                "p50": round(ordered[len(ordered) // 2], 1),
                "p99": round(ordered[len(ordered) * 99 // 100], 1),
                "max": round(ordered[-1], 1),
            }
        ),
        flush=True,
    )
