"""Talks over a WebSocket until the other side ends it: python3 talker.py ADDRESS CERTIFICATE.

Sends a word to /talk every tenth of a second; prints what came back each time, then how it ended: "closed" with a
closing frame, or "cut".
"""

from __future__ import annotations

import socket
import ssl
import sys
import time

UPGRADE = (
    b"GET /talk HTTP/1.1\r\nHost: example.com\r\nCF-Connecting-IP: 198.18.64.10\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
WORD = b"\x81\x84\0\0\0\0word"  # a text, masked with zeros
CLOSE = 0x88


def exactly(line: ssl.SSLSocket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = line.recv(size - len(read))
        if not part:
            raise ConnectionResetError
        read += part
    return read


def talk(line: ssl.SSLSocket) -> str:
    line.sendall(UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(line, 1)
    print(head.split(b"\r\n")[0].decode(), flush=True)
    try:
        while True:
            line.sendall(WORD)
            kind, size = exactly(line, 2)  # below 126 bytes, and a server masks nothing
            said = exactly(line, size)
            if kind == CLOSE:
                return "closed"
            print(said.decode(), flush=True)
            time.sleep(0.1)
    except OSError:
        return "cut"


def main(address: str, certificate: str) -> None:
    context = ssl._create_unverified_context()
    context.load_cert_chain(certificate)
    plain = socket.create_connection((address, 443), 30)
    with context.wrap_socket(plain, server_hostname="example.com") as line:
        print(talk(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
