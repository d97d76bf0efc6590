"""A naive origin for the edge's tests, run by itself in a namespace: `python origin.py '<JSON list of listeners>'`.

Each listener is {"address", "port", "kind", "certificate", "client_ca", "newest_tls"}. Kind "app" answers a request
with what it saw, as JSON; kind "redirect" sends every request to https with 308. certificate: a file with chain and
key; null means no TLS. client_ca: when given, a client certificate of that CA is required.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RELEASED = threading.Event()
REQUESTS: dict[str, int] = {}
CONNECTIONS = itertools.count(1)


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        super().setup()
        self.number = next(CONNECTIONS)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        REQUESTS[path] = REQUESTS.get(path, 0) + 1
        special = getattr(self, f"get_{path.strip('/')}", None)
        if special:
            special()
        else:
            self.answer(self.seen())

    def do_POST(self) -> None:
        body = self.body()
        self.answer({"length": len(body), "sha256": hashlib.sha256(body).hexdigest()})

    def get_empty(self) -> None:
        self.close_connection = True

    def get_garbage(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nnothing like a header\r\n\r\n")
        self.close_connection = True

    def get_slow(self) -> None:
        time.sleep(8)
        self.answer(self.seen())

    def get_count(self) -> None:
        self.answer(REQUESTS)

    def get_bad(self) -> None:
        self.answer({"from": "origin"}, status=502)

    def get_hold(self) -> None:
        """Sends its first line at once, its second when /release has been asked for."""
        self.send_response(200)
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(b"first\n")
        RELEASED.wait(20)
        self.wfile.write(b"second\n")

    def get_release(self) -> None:
        RELEASED.set()
        self.answer({})

    def get_upgrade(self) -> None:
        """Switches protocols and echoes lines."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.end_headers()
        self.wfile.write(self.rfile.readline().upper())
        self.close_connection = True

    def seen(self) -> dict[str, Any]:
        certificate = self.request.getpeercert() if isinstance(self.request, ssl.SSLSocket) else None
        subject: Any = (certificate or {}).get("subject", ())
        return {
            "headers": self.headers.items(),
            "path": self.path,
            "connection": self.number,
            "address": self.server.spec["address"],
            "tls": isinstance(self.request, ssl.SSLSocket),
            "client": next((value for ((name, value),) in subject if name == "commonName"), None),
        }

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Redirect(App):
    def do_GET(self) -> None:
        self.send_response(308)
        self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.address_family = socket.AF_INET6 if ":" in spec["address"] else socket.AF_INET
        self.context = self._context()
        super().__init__((spec["address"], spec["port"]), Redirect if spec["kind"] == "redirect" else App)

    def server_bind(self) -> None:
        # HTTPServer's own asks the DNS for the address's name.
        socketserver.TCPServer.server_bind(self)

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            if self.context:
                # Here and not in get_request: a handshake must not keep other connections waiting.
                request = self.context.wrap_socket(request, server_side=True)
            self.RequestHandlerClass(request, client_address, self)
        except OSError:
            pass
        finally:
            request.close()

    def _context(self) -> ssl.SSLContext | None:
        if not self.spec.get("certificate"):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.spec["certificate"])
        if self.spec.get("client_ca"):
            context.load_verify_locations(self.spec["client_ca"])
            context.verify_mode = ssl.CERT_REQUIRED
        if self.spec.get("newest_tls") == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context


if __name__ == "__main__":
    listeners = [Listener(spec) for spec in json.loads(sys.argv[1])]
    print("ready", flush=True)
    threads = [threading.Thread(target=listener.serve_forever) for listener in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
