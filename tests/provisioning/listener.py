"""In an app's place: tells in /run/app/echo/seen, a line each, what arrives on its socket, and when.

python3 listener.py SOCKET. GET /much is answered with MUCH bytes; all else with one, once the body is
whole. Bodies are of the letter x.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from pathlib import Path

MUCH = 60_000_000
SEEN = Path("/run/app/echo/seen")
lock = threading.Lock()


def tell(what: str) -> None:
    with lock, SEEN.open("a") as seen:
        seen.write(f"{what}\n")


def serve(connection: socket.socket) -> None:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            data += (part := connection.recv(1 << 16))
            if not part:
                return
        head, _, body = data.partition(b"\r\n\r\n")
        tell(head.split(b" HTTP/")[0].decode())
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while not (len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n") or b"chunked" not in head):
            tell(f"{len(body)} bytes")
            body += (part := connection.recv(1 << 16))
            if not part:
                tell("cut")
                return
        tell(f"whole, {body.count(b'x')}")
        answer = b"x" * (MUCH if head.startswith(b"GET /much") else 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
    except OSError:
        tell("cut")
    finally:
        connection.close()


if __name__ == "__main__":
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    Path(sys.argv[1]).chmod(0o660)
    listener.listen(64)
    while True:
        threading.Thread(target=serve, args=[listener.accept()[0]]).start()
