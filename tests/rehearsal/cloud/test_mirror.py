"""The package mirror: a real nginx in front of a small stand-in of the outside, which counts what it is asked."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rehearsal.cloud import mirror
from rehearsal.cloud.mirror import PythonIndex, Upstream
from tests.rehearsal.cloud.standing import until

pytestmark = pytest.mark.machines
PACKAGE = b"a package" * 1000


@dataclass
class Outside:
    """An archive, an index and its files on one loopback address."""

    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def outside() -> Iterator[Outside]:
    outside = Outside()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            outside.asked.append(self.path)
            outside.headers.append(dict(self.headers))
            kind, body = outside.pages.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # A page called "cut off" ends too early.
            self.wfile.write(body[:10] if "cut-off" in self.path else body)
            self.close_connection = "cut-off" in self.path

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    outside.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield outside
    server.shutdown()
    server.server_close()


@dataclass
class Mirror:
    socket: Path
    store: Path

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("198.18.0.80")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(str(self.socket))
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        except http.client.IncompleteRead as cut:
            return answer.status, cut.partial
        finally:
            connection.close()

    def kept(self) -> set[str]:
        files = self.store / "files"
        return {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}


@pytest.fixture
def mirrors(tmp_path: Path, outside: Outside) -> Iterator[list[Mirror]]:
    """Two mirrors on one store, as two worlds have them."""
    if not shutil.which("nginx"):
        pytest.fail("nginx is missing: apt-get install nginx-light", pytrace=False)
    store = tmp_path / "store"
    for name in ("files", "index", "tmp"):
        (store / name).mkdir(parents=True)
    index = PythonIndex(
        simple=Upstream(base=f"{outside.url}/root/simple", authorization="Basic dTpw"),
        files=Upstream(base="https://files.example"),
    )
    archives = {"debian": f"{outside.url}/debian"}
    made, processes = [], []
    for name in ("one", "two"):
        file = tmp_path / f"{name}.conf"
        made.append(Mirror(tmp_path / f"{name}.sock", store))
        file.write_text(mirror.mirror_configuration(archives, index, store, made[-1].socket, []))
        processes.append(subprocess.Popen(["nginx", "-e", "stderr", "-c", str(file), "-g", "daemon off;"]))
    deadline = time.monotonic() + 10
    while not all(each.socket.exists() for each in made) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield made
    for process in processes:
        process.terminate()
        process.wait()


def test_a_package_is_fetched_once_for_all_worlds(outside: Outside, mirrors: list[Mirror]) -> None:
    path = "/debian/pool/main/c/caddy/caddy_2.11.2-1~bpo13+1_amd64.deb"
    outside.pages[path] = ("application/octet-stream", PACKAGE)
    assert mirrors[0].get(path) == (200, PACKAGE)
    until(lambda: mirrors[0].kept() == {path[1:]}, seconds=10)  # put there once the answer is out
    for each in (*mirrors, *mirrors):
        assert each.get(path) == (200, PACKAGE)
    assert outside.asked == [path]


def test_half_a_package_is_never_kept(outside: Outside, mirrors: list[Mirror]) -> None:
    path = "/debian/pool/cut-off.deb"
    outside.pages[path] = ("application/octet-stream", PACKAGE)
    assert mirrors[0].get(path)[1] != PACKAGE
    assert mirrors[0].kept() == set()


def test_what_is_not_there_is_not_kept(outside: Outside, mirrors: list[Mirror]) -> None:
    assert mirrors[0].get("/debian/pool/nothing.deb")[0] == 404
    assert mirrors[0].kept() == set()
    assert mirrors[0].get("/elsewhere")[0] == 404


def test_lists_are_kept_a_while_in_case_the_outside_goes(outside: Outside, mirrors: list[Mirror]) -> None:
    path = "/debian/dists/trixie/InRelease"
    outside.pages[path] = ("text/plain", b"Suite: stable")
    for _ in range(3):
        assert mirrors[0].get(path) == (200, b"Suite: stable")
    assert outside.asked == [path]
    assert mirrors[0].kept() == set(), "it will change: it is not among the files that are kept for good"


def test_the_index_leads_to_the_mirror(outside: Outside, mirrors: list[Mirror]) -> None:
    digest = hashlib.sha256(PACKAGE).hexdigest()
    outside.pages["/root/simple/flask/"] = (
        "text/html",
        f'<a href="https://files.example/packages/flask.whl#sha256={digest}">a</a>'
        f'<a href="{outside.url}/root/+f/flask.tar.gz">b</a><a href="../../+f/relative.whl">c</a>'.encode(),
    )
    _, page = mirrors[0].get("/python/simple/flask/")
    assert page.decode() == (
        f'<a href="http://198.18.0.80/python-files/packages/flask.whl#sha256={digest}">a</a>'
        '<a href="http://198.18.0.80/python-site/root/+f/flask.tar.gz">b</a><a href="../../+f/relative.whl">c</a>'
    )
    assert outside.headers[0]["Authorization"] == "Basic dTpw"


def test_html_and_json_are_kept_apart(outside: Outside, mirrors: list[Mirror]) -> None:
    json = "application/vnd.pypi.simple.v1+json"
    outside.pages["/root/simple/flask/"] = (json, b'{"url": "https://files.example/packages/flask.whl"}')
    assert mirrors[0].get("/python/simple/flask/", Accept=json)[1] == (
        b'{"url": "http://198.18.0.80/python-files/packages/flask.whl"}'
    )
    outside.pages["/root/simple/flask/"] = ("text/html", b"<html>")
    assert mirrors[0].get("/python/simple/flask/", Accept="text/html")[1] == b"<html>"


@pytest.mark.parametrize("path", ["/python-site/root/+f/flask.tar.gz", "/python/simple/flask/../../+f/flask.tar.gz"])
def test_files_of_the_index_are_kept(outside: Outside, mirrors: list[Mirror], path: str) -> None:
    outside.pages["/root/+f/flask.tar.gz"] = ("application/octet-stream", PACKAGE)
    assert mirrors[0].get(path) == (200, PACKAGE)
    until(mirrors[0].kept, seconds=10)  # put there once the answer is out
    assert mirrors[1].get(path) == (200, PACKAGE)
    assert outside.asked == ["/root/+f/flask.tar.gz"]


def test_credentials_of_an_index_are_sent_and_not_shown() -> None:
    upstream = mirror._upstream("https://user:p%40ss@index.example:8443/simple")
    assert upstream == Upstream(base="https://index.example:8443/simple", authorization="Basic dXNlcjpwQHNz")
    assert "p@ss" not in upstream.base


def test_name_servers_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search a\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n# nameserver x\n")
    assert mirror.resolvers(tmp_path / "resolv.conf") == ["192.0.2.1", "[fe80::1]"]
