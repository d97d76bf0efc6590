"""A site on the web, for hosts that fetch an app: python3 web.py ADDRESS CERTIFICATE KEY FOLDER, https on port 443.

GET /NAME is a file of FOLDER. /git/NAME is a repository of FOLDER, by git's own http-backend. The others misbehave.
"""

from __future__ import annotations

import http.server
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS, CERTIFICATE, KEY, FOLDER = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/moved.tar.gz":
                self.redirect(f"https://{ADDRESS}/app.tar.gz")
            case "/downgraded.tar.gz":
                self.redirect(f"http://{ADDRESS}/app.tar.gz")
            case "/endless.tar.gz":
                self.head(200)
                while True:
                    self.wfile.write(b"x" * 65536)
            case "/cut.tar.gz":
                self.head(200, ("Content-Length", "1000"))
                self.wfile.write(b"x" * 10)
            case path if path.startswith("/git/"):
                self.do_POST()
            case path if (file := FOLDER / path.lstrip("/")).is_file():
                self.head(200, ("Content-Length", str(file.stat().st_size)))
                with file.open("rb") as content:
                    shutil.copyfileobj(content, self.wfile)
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(FOLDER),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path.removeprefix("/git"),
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().splitlines()]
        status = next((value.split()[0] for name, value in fields if name == "Status"), "200")
        length = ("Content-Length", str(len(content)))
        self.head(int(status), length, *(field for field in fields if field[0] != "Status"))
        self.wfile.write(content)

    def redirect(self, to: str) -> None:
        self.head(302, ("Location", to), ("Content-Length", "0"))

    def head(self, status: int, *fields: tuple[str, ...]) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()


server = http.server.ThreadingHTTPServer((ADDRESS, 443), Web)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
