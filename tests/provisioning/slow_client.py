"""A client that takes its time: python3 slow_client.py ADDRESS CERTIFICATE CASE. Prints how it ended, as JSON.

header    half of a request's headers, then nothing
body      half of an announced body, then nothing
h2-body   the same in HTTP/2
reading   asks for /much, and reads nothing for READING seconds
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time

import h2.config
import h2.connection
import h2.events

READING = 8
ADDRESS, CERTIFICATE, CASE = sys.argv[1:]
HOST = "Host: example.com\r\n"
SENT = {
    "header": f"GET / HTTP/1.1\r\n{HOST}X-Slow: ",
    "body": f"POST /body HTTP/1.1\r\n{HOST}Content-Length: 100000\r\n\r\n" + 50_000 * "x",
    "reading": f"GET /much HTTP/1.1\r\n{HOST}\r\n",
}
OVER = (h2.events.StreamReset, h2.events.StreamEnded, h2.events.ConnectionTerminated)


def plainly(secure: ssl.SSLSocket) -> tuple[str, int]:
    """The answer's first line, and the size of it all, once the other side has ended it."""
    secure.sendall(SENT[CASE].encode())
    time.sleep(READING if CASE == "reading" else 0)
    first, size = b"", 0
    try:
        while part := secure.recv(1 << 16):
            first, size = first or part, size + len(part)
    except OSError:
        pass
    return first.split(b"\r\n")[0].decode(), size


def framed(secure: ssl.SSLSocket) -> tuple[str, int]:
    """The answer's status, once the other side has ended the stream or the connection."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    head = {":method": "POST", ":scheme": "https", ":authority": "example.com", ":path": "/h2-body"}
    connection.send_headers(1, [*head.items(), ("content-length", "100000")])
    connection.send_data(1, b"x" * 10_000)
    status = ""
    try:
        while True:
            secure.sendall(connection.data_to_send())
            if not (part := secure.recv(1 << 16)):
                return status, 0
            for event in connection.receive_data(part):
                if isinstance(event, h2.events.ResponseReceived):
                    status = next(str(value) for name, value in event.headers if name == ":status")
                if isinstance(event, OVER):
                    return status, 0
    except OSError:
        return status, 0


context = ssl._create_unverified_context()
context.load_cert_chain(CERTIFICATE)
context.set_alpn_protocols(["h2" if CASE == "h2-body" else "http/1.1"])
plain = socket.create_connection((ADDRESS, 443), 30)
plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
began = time.monotonic()
with context.wrap_socket(plain, server_hostname="example.com") as secure:
    said, size = framed(secure) if CASE == "h2-body" else plainly(secure)
print(json.dumps({"said": said, "size": size, "seconds": time.monotonic() - began}))
