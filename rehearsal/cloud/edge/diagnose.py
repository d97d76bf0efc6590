"""Why an origin gave no answer: tries it once more as the edge did, and answers with the error that Cloudflare would.

nginx says only that an attempt failed or timed out (502, 504). It hands the visitor's request on to this server with
what it knows in Edge-* headers; the meaning of each error is in Cloudflare's "5xx errors" pages. Runs by itself in
the edge's network namespace, on the standard library alone: `python diagnose.py <socket>`.
"""

from __future__ import annotations

import errno
import html
import os
import socket
import socketserver
import ssl
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

CONNECT_SECONDS = 1.0
HANDSHAKE_SECONDS = 2.0
ALERT_SECONDS = 0.5
"""In TLS 1.3 a server refuses a client's certificate after the handshake is over on our side: wait for its alert."""

MEANINGS = {
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
    523: "Origin is unreachable",
    524: "A timeout occurred",
    525: "SSL handshake failed",
    526: "Invalid SSL certificate",
}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A request that nginx could not get answered.

    status: 502 or 504. established: whether the connection, TLS included, came about. address and port: the last origin
    tried. trust: file of CAs to verify against, None when the mode does not verify. client: file with certificate and
    key, None when no client certificate is shown.
    """

    status: int
    established: bool
    address: str
    port: int
    hostname: str
    tls: bool
    trust: str | None
    client: str | None


def diagnose(attempt: Attempt) -> int:
    """Cloudflare's status for a failed attempt."""
    if attempt.status == 504 and attempt.established:
        return 524
    try:
        with socket.create_connection((attempt.address, attempt.port), timeout=CONNECT_SECONDS) as connection:
            return _handshake(attempt, connection) if attempt.tls else 520
    except TimeoutError:
        # Routers limit how often they say that there is no way: nginx was told and did not time out, we were not told.
        return 522 if attempt.status == 504 else 523
    except OSError as error:
        return 523 if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH) else 521


def _handshake(attempt: Attempt, connection: socket.socket) -> int:
    connection.settimeout(HANDSHAKE_SECONDS)
    try:
        with _context(attempt).wrap_socket(connection, server_hostname=attempt.hostname) as secured:
            secured.settimeout(ALERT_SECONDS)
            secured.recv(1)
    except ssl.SSLCertVerificationError:
        return 526
    except ssl.SSLError:
        return 525
    except TimeoutError:
        # No alert came: the handshake was good, what failed was the answer. Before its end: no handshake.
        return 520 if attempt.established else 525
    except OSError:
        return 520 if attempt.established else 525
    return 520


def _context(attempt: Attempt) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if attempt.trust:
        context.load_verify_locations(attempt.trust)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if attempt.client:
        context.load_cert_chain(attempt.client)
    return context


class Handler(BaseHTTPRequestHandler):
    """Answers a failed request of a visitor with the error's page."""

    def do_GET(self) -> None:
        status = diagnose(self._attempt())
        hostname = self.headers.get("Host", "")
        if "text/html" in self.headers.get("Accept", ""):
            kind, body = "text/html; charset=UTF-8", page(status, hostname, self.headers.get("Edge-Ray", ""))
        else:
            kind, body = "text/plain; charset=UTF-8", f"error code: {status}\n"
        content = body.encode()
        self.send_response(status, MEANINGS[status])
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "private, no-store")
        self.end_headers()
        self.wfile.write(content)

    def _attempt(self) -> Attempt:
        # nginx lists every address it tried; the time is "-" where no connection came about.
        def last(name: str) -> str:
            return self.headers[name].rpartition(", ")[2]

        address, _, port = last("Edge-Origin").rpartition(":")
        return Attempt(
            status=int(last("Edge-Status")),
            established=last("Edge-Connect-Seconds") != "-",
            address=address.strip("[]"),
            port=int(port),
            hostname=self.headers["Host"],
            tls=self.headers.get("Edge-TLS") == "on",
            trust=self.headers.get("Edge-Trust") or None,
            client=self.headers.get("Edge-Client") or None,
        )

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """nginx's log has it already."""


def page(status: int, hostname: str, ray: str) -> str:
    """The error's page for browsers, in Cloudflare's manner."""
    host, meaning = html.escape(hostname), MEANINGS[status]
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{host} | {status}: {meaning}</title></head>
<body>
<h1>{meaning} <small>Error code {status}</small></h1>
<p>You: working. Edge (rehearsal): working. {host}: error.</p>
<p>Ray ID: {html.escape(ray)}</p>
</body>
</html>
"""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """One thread a request: each may wait for an origin."""

    daemon_threads = True


def serve(path: Path) -> None:
    """Serves for ever on the socket, which only root may open."""
    os.umask(0o077)
    new = path.with_name(path.name + ".new")
    for stale in (new, path):
        stale.unlink(missing_ok=True)
    with Server(str(new), Handler) as server:
        new.rename(path)  # whoever sees the socket can connect to it
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
