"""The proxy on a real machine, in front of a real WSGI server: who gets in, and what the app is told."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning import servers
from rehearsal.cloud import network
from settings import Gunicorn, Waitress
from tests.provisioning.listener import MUCH
from tests.provisioning.origin_host import HOSTNAME, OriginHost, Site
from tests.provisioning.pki import Pair
from tests.rehearsal.cloud.standing import until

pytestmark = pytest.mark.machines

APP = """
import json, time

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "application/json")]
    if path == "/own":
        headers += [("Strict-Transport-Security", "max-age=1"), ("X-Frame-Options", "DENY"), ("X-Request-Id", "own")]
    if path == "/slow":
        time.sleep(2)
    start_response("404 Not Found" if path == "/404" else "200 OK", headers)
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    return [json.dumps({"length": len(body), **seen, "padding": "x" * 1000}).encode()]
"""
SERVE = """
set -e
/opt/uv/bin/uv venv -q --clear /srv/echo/venv
/opt/uv/bin/uv pip install -q --python /srv/echo/venv/bin/python waitress==3.0.2
install -d -o app -g upstream -m 0750 /run/app/echo
ln -sfn /run/app/echo/http.sock /srv/app/current.sock
"""
# Waitress would drop what it does not trust: here it must show all that the proxy lets through.
UNIT = """
[Service]
User=app
Group=upstream
WorkingDirectory=/srv/echo
ExecStartPre=rm -f /run/app/echo/http.sock
ExecStart=/srv/echo/venv/bin/waitress-serve --no-clear-untrusted-proxy-headers \
    --unix-socket=/run/app/echo/http.sock --unix-socket-perms=660 echo:app
"""
AWAIT_APP = "timeout 20 sh -c 'until ss -xlnH | grep -q /run/app/echo/http.sock; do sleep 0.1; done'"
FORGED = {
    "X-Forwarded-For": "6.6.6.1",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "81",
    "X-Forwarded-Prefix": "/forged",
    "X-Forwarded-Server": "forged",
    "X-Forwarded-Ssl": "off",
    "Forwarded": "for=6.6.6.2;proto=http",
    "X-Real-IP": "6.6.6.3",
    "X-Client-IP": "6.6.6.4",
    "X-Cluster-Client-IP": "6.6.6.5",
    "True-Client-IP": "6.6.6.6",
    "X-Original-URL": "/forged",
    "X-Rewrite-URL": "/forged",
    "X-Request-Id": "forged",
    "Proxy": "http://forged.example",
    "X_Forwarded_For": "6.6.6.7",
    "X-Forwarded_For": "6.6.6.8",
    "X_Forwarded_Proto": "http",
    "X_Forwarded_Host": "forged.example",
    "X_Real_IP": "6.6.6.9",
    "CF_Connecting_IP": "6.6.6.10",
    "Any_Thing": "forged",
}


RAW = """
import socket, ssl, sys
context = ssl._create_unverified_context()
context.load_cert_chain(sys.argv[2])
with context.wrap_socket(socket.create_connection((sys.argv[1], 443), 20), server_hostname="example.com") as secure:
    secure.sendall(sys.stdin.buffer.read())
    print(secure.recv(4096).decode())
"""


HERE = Path(__file__).parent
# As the release tool starts it, but for the release.
WRAPPED_APP = """
from flask import Flask, request
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)

@app.route("/", methods=["GET", "POST"])
@app.route("/limited", methods=["GET", "POST"])
def index():
    return request.headers.get("Upgrade", "no upgrade")

@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive().upper())
"""
WRAP = """
[ -e /srv/echo/venv/bin/gunicorn ] || /opt/uv/bin/uv pip install -q --python /srv/echo/venv/bin/python \
    gunicorn==25.3.0 flask==3.1.3 flask-sock==0.7.0
systemd-run -q --unit=wrapped -p User=app -p Group=upstream -p WorkingDirectory=/srv/echo \
    -p RuntimeDirectory=app/wrapped -E PYTHONPATH=/usr/local/lib/origin \
    /srv/echo/venv/bin/python -m origin_server "$SPEC"
timeout 60 sh -c 'until ss -xlnH | grep -q /run/app/wrapped/http.sock; do sleep 0.1; done'
ln -sfn /run/app/wrapped/http.sock /srv/app/current.sock
"""
LISTEN = """
rm -f /run/app/echo/listener.sock /run/app/echo/seen
systemd-run -q --unit=listener -p User=app -p Group=upstream python3 /srv/echo/listener.py /run/app/echo/listener.sock
timeout 20 sh -c 'until ss -xlnH | grep -q /run/app/echo/listener.sock; do sleep 0.1; done'
ln -sfn /run/app/echo/listener.sock /srv/app/current.sock
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    """Names in lower case."""
    body: str

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found == name]


@dataclass(frozen=True, kw_only=True)
class Door:
    """The machine's port 443 as seen from somewhere, with the zone's client certificate unless told otherwise."""

    host: OriginHost
    certificates: Path

    def curl(self, *options: str, place: str, name: str, path: str, client: str | None, v6: bool = False):
        address = f"[{self.host.ipv6}]" if v6 else self.host.ipv4
        argv = ["curl", "-sSki", "--max-time", "10", "--resolve", f"{name}:443:{address}"]
        argv += ["--cert", str(self.certificates / client)] if client else []
        argv += [*options, f"https://{name}{path}"]
        return network.exec_in(self.host.world, place, argv, capture_output=True, text=True)

    def ask(
        self, path: str = "/", *options: str, place: str = "edge", name: str = HOSTNAME, v6: bool = False
    ) -> Answer:
        done = self.curl(*options, place=place, name=name, path=path, client="client.pem", v6=v6)
        assert done.returncode == 0, done
        head, _, body = done.stdout.replace("\r", "").partition("\n\n")
        while head.split()[1] == "100":
            head, _, body = body.partition("\n\n")
        first, *lines = head.splitlines()
        pairs = [line.partition(": ") for line in lines]
        return Answer(
            status=int(first.split()[1]), headers=[(name.lower(), value) for name, _, value in pairs], body=body
        )

    def refused(self, *options: str, place: str = "edge", name: str = HOSTNAME, client: str | None) -> str:
        """What curl says; fails the test when there was one byte of HTTP."""
        done = self.curl(*options, place=place, name=name, path="/", client=client)
        assert done.returncode != 0
        assert done.stdout == ""
        return done.stderr


@dataclass(frozen=True, kw_only=True)
class Listener:
    host: OriginHost
    site: Site

    def behind(self, **options: Any) -> None:
        """The proxy with these of its options, and nothing seen yet."""
        self.host.configure(self.site.document(proxy=self.host.proxy, **options))
        self.host.run("rm", "-f", "/run/app/echo/seen")

    def seen(self) -> list[str]:
        path = self.host.path("/run/app/echo/seen")
        return path.read_text().splitlines() if path.exists() else []

    def await_seen(self, what: str) -> None:
        until(lambda: what in self.seen(), seconds=30)


@pytest.fixture(scope="module")
def door(proxied: OriginHost, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    host, folder = proxied, tmp_path_factory.mktemp("clients")
    somebody = Pair.authority("another zone's origin pulls")
    for name, pair in {
        "client.pem": site.client,
        "stranger.pem": somebody.issue("Cloudflare"),
        "expired.pem": site.clients.issue("Cloudflare", days=-1),
        "self-signed.pem": somebody,
    }.items():
        (folder / name).write_text(pair.certificate + pair.key)
    host.run("install", "-d", "/srv/echo")
    host.path("/srv/echo/echo.py").write_text(APP)
    host.path("/run/systemd/system/echo.service").write_text(UNIT)
    host.run("sh", input=SERVE)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "echo")
    host.run("sh", "-c", AWAIT_APP)
    host.configure(site.document(proxy=host.proxy))
    yield Door(host=host, certificates=folder)
    host.run("systemctl", "stop", "echo")
    host.run("rm", "-f", "/srv/app/current.sock")


@pytest.fixture(scope="module")
def listener(door: Door, site: Site) -> Iterator[Listener]:
    """What stands in the app's place and tells what arrives there."""
    host = door.host
    host.path("/srv/echo/listener.py").write_text((HERE / "listener.py").read_text())
    host.run("sh", "-e", input=LISTEN)
    yield Listener(host=host, site=site)
    host.run("sh", "-c", "systemctl stop listener; ln -sfn /run/app/echo/http.sock /srv/app/current.sock")
    host.configure(site.document(proxy=host.proxy))


@pytest.fixture
def wrapped(door: Door, site: Site) -> Iterator[Callable[..., None]]:
    """Puts an app behind our own start of a server, of that kind and with these limits."""
    host = door.host

    def start(server: str, rate_limit: dict[str, Any] | None = None) -> None:
        # Some answer of each: the processes share what is counted.
        options = {"workers": 2, "threads": 4, "worker_class": "gthread"} if server == "gunicorn" else {}
        settings = Gunicorn(kind="gunicorn", **options) if server == "gunicorn" else Waitress(kind="waitress")
        spec = servers.argv(settings, "wrapped:app", rate_limit)[-1].replace("{socket}", "/run/app/wrapped/http.sock")
        host.path("/srv/echo/wrapped.py").write_text(WRAPPED_APP)
        host.run("env", f"SPEC={spec}", "sh", "-e", input=WRAP)

    host.configure(site.document(proxy=host.proxy))
    yield start
    host.run("sh", "-c", "systemctl stop wrapped; ln -sfn /run/app/echo/http.sock /srv/app/current.sock")


@pytest.fixture
def untouched(door: Door) -> Iterator[None]:
    """Fails when one request of the test reached the app."""
    connections = "ss -xnH | grep -c /run/app/echo/http.sock; cat /sys/fs/cgroup/system.slice/echo.service/cgroup.procs"
    unit = door.host.program.unit
    door.host.run("journalctl", "--sync")  # what was asked before is written before
    cursor = door.host.run("journalctl", "-u", unit, "-n", "0", "--show-cursor").partition("cursor: ")[2].strip()
    before = door.host.run("sh", "-c", connections, check=False)
    yield
    assert door.host.run("sh", "-c", connections, check=False) == before
    door.host.run("journalctl", "--sync")
    log = door.host.run("journalctl", "-u", unit, "-o", "cat", f"--after-cursor={cursor}")
    assert '"status":200' not in log


def forged(**more: str) -> list[str]:
    return [part for name, value in (FORGED | more).items() for part in ("-H", f"{name}: {value}")]


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
@pytest.mark.parametrize("visitor", ["203.0.113.7", "2001:db8:64::10"])
@pytest.mark.parametrize("v6", [False, True])
def test_the_app_is_told_the_truth_once(door: Door, protocol: str, visitor: str, v6: bool) -> None:
    options = forged(**{"CF-Connecting-IP": visitor, "CF-Ray": "8f00ba4-FRA"})
    seen = json.loads(door.ask("/a?b=c", protocol, *options, v6=v6).body)
    told = {name: value for name, value in seen.items() if name.startswith("HTTP_")}
    request_id = told.pop("HTTP_X_REQUEST_ID")
    assert re.fullmatch("[0-9A-Za-z@_-]{24,36}", request_id)
    assert told.pop("HTTP_USER_AGENT").startswith("curl/")
    assert told == {
        "HTTP_ACCEPT": "*/*",
        "HTTP_CF_CONNECTING_IP": visitor,
        "HTTP_CF_RAY": "8f00ba4-FRA",
        "HTTP_CONNECTION": "close",
        "HTTP_HOST": HOSTNAME,
        "HTTP_X_FORWARDED_FOR": visitor,
        "HTTP_X_FORWARDED_HOST": HOSTNAME,
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_REAL_IP": visitor,
    }
    assert seen["REQUEST_URI"] == "/a?b=c"


@pytest.mark.parametrize("claim", [None, "", "nonsense", "1.2.3.4.5", "<script>"])
def test_with_no_address_claimed_it_is_the_peers(door: Door, claim: str | None) -> None:
    options = [] if claim is None else ["-H", f"CF-Connecting-IP: {claim}"]
    seen = json.loads(door.ask("/", *options).body)
    assert seen["HTTP_X_REAL_IP"] == seen["HTTP_X_FORWARDED_FOR"] == "198.18.16.10"


def test_no_connection_header_takes_the_truth_away(door: Door) -> None:
    hop = "Connection: X-Real-IP, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id"
    seen = json.loads(door.ask("/", "--http1.1", "-H", hop, "-H", "CF-Connecting-IP: 203.0.113.7").body)
    assert seen["HTTP_X_REAL_IP"] == seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.7"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"


def test_the_host_is_the_sites_however_it_is_spelt(door: Door) -> None:
    seen = json.loads(door.ask("/", "--http1.1", "-H", "Host: EXAMPLE.com:8443").body)
    assert seen["HTTP_HOST"] == seen["HTTP_X_FORWARDED_HOST"] == HOSTNAME


@pytest.mark.parametrize("client", [None, "stranger.pem", "expired.pem", "self-signed.pem"])
@pytest.mark.parametrize("place", ["edge", "neighbour"])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
@pytest.mark.parametrize("name", [HOSTNAME, f"www.{HOSTNAME}", f"other.{HOSTNAME}", "unknown.test"])
@pytest.mark.usefixtures("untouched")
def test_without_the_zones_client_certificate_not_one_byte(
    door: Door, client: str | None, place: str, tls: str, name: str
) -> None:
    door.refused("--tls-max", tls, "--tlsv1.2", place=place, name=name, client=client)


@pytest.mark.parametrize("name", [f"other.{HOSTNAME}", "unknown.test"])
@pytest.mark.usefixtures("untouched")
def test_another_name_gets_nothing_even_with_it(door: Door, name: str) -> None:
    if door.host.proxy == "apache":  # which can't refuse a name before it has heard the request
        assert door.ask("/", name=name).status == 421
    else:
        door.refused(name=name, client="client.pem")


@pytest.mark.parametrize("name", ["unknown.test", None])
def test_an_unknown_name_is_shown_no_certificate_of_the_site(door: Door, name: str | None) -> None:
    option = ["-servername", name] if name else ["-noservername"]
    argv = ["openssl", "s_client", "-connect", f"{door.host.ipv4}:443", *option]
    done = network.exec_in(door.host.world, "edge", argv, capture_output=True, text=True, input="", timeout=20)
    if door.host.proxy == "apache":  # which shows everybody some certificate
        assert "subject=CN=invalid" in done.stdout.replace(" ", "")
    else:
        assert "no peer certificate available" in done.stdout


@pytest.mark.parametrize("asked", ["other.example.com", "unknown.test", "www.example.com", "198.18.0.1", "a b"])
@pytest.mark.usefixtures("untouched")
def test_another_host_than_the_tls_name_does_not_reach_the_app(door: Door, asked: str) -> None:
    assert door.ask("/", "--http1.1", "-H", f"Host: {asked}").status in (400, 421)
    if asked.isprintable() and " " not in asked:
        assert door.ask("/", "--http2", "-H", f"Host: {asked}").status in (400, 421)


@pytest.mark.usefixtures("untouched")
def test_outside_the_ranges_there_is_silence_and_on_the_host_itself_a_403(door: Door) -> None:
    for place in ("visitor", "attacker", "operator", "worker"):
        assert "curl: (28)" in door.refused("--connect-timeout", "1", place=place, client="client.pem")
    door.host.path("/run/client.pem").write_text((door.certificates / "client.pem").read_text())
    asked = f"GET / HTTP/1.1\r\nHost: {HOSTNAME}\r\nCF-Connecting-IP: 198.18.16.10\r\n\r\n"
    answer = door.host.run("python3", "-c", RAW, "127.0.0.1", "/run/client.pem", input=asked)
    assert answer.startswith("HTTP/1.1 403 ")
    assert answer.endswith("\n\nOnly allow connections from cloudflare.\n")


def test_old_tls_is_refused(door: Door) -> None:
    door.refused("--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0", client="client.pem")


RESUME = """
import json, socket, ssl, sys

def knock(context, session=None):
    plain = socket.create_connection((sys.argv[1], 443), 10)
    with context.wrap_socket(plain, server_hostname="example.com", session=session) as secure:
        secure.sendall(b"GET / HTTP/1.1\\r\\nHost: example.com\\r\\nConnection: close\\r\\n\\r\\n")
        return secure.recv(15), secure.session

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.maximum_version = getattr(ssl.TLSVersion, sys.argv[3])
context.load_cert_chain(sys.argv[2])
answer, session = knock(context)
print(answer.decode(), flush=True)
input()
try:
    print(knock(context, session)[0].decode())
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("tls", ["TLSv1_2", "TLSv1_3"])
def test_a_session_from_before_does_not_outlive_its_client_ca(door: Door, site: Site, tls: str) -> None:
    argv = [sys.executable, "-c", RESUME, door.host.ipv4, str(door.certificates / "client.pem"), tls]
    entered = ["ip", "netns", "exec", door.host.world.namespace("edge"), *argv]
    with subprocess.Popen(entered, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout and client.stdin
        assert client.stdout.readline() == "HTTP/1.1 200 OK\n"
        renewed = Site(server=site.server, clients=Pair.authority("renewed"), client=site.client)
        door.host.configure(renewed.document(proxy=door.host.proxy))
        try:
            said, _ = client.communicate("\n", timeout=20)
        finally:
            door.host.configure(site.document(proxy=door.host.proxy))
    assert said.strip() in (ssl.SSLError.__name__, "ConnectionResetError", "")


def test_a_redirect_goes_once_to_the_site(door: Door) -> None:
    answer = door.ask("/a%20b?c=d", name=f"www.{HOSTNAME}")
    assert (answer.status, answer.all("location")) == (301, [f"https://{HOSTNAME}/a%20b?c=d"])


SECURITY = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
}


@pytest.mark.parametrize("path", ["/", "/404", "/too-large", "www"])
def test_every_answer_has_the_security_headers_once(door: Door, path: str) -> None:
    large = ["-d", "x" * 100_000, "-H", "Content-Length: 2000000"] if path == "/too-large" else []
    if large and door.host.proxy == "apache":  # whose answer is cut off by the end of an HTTP/2 stream
        large += ["--http1.1"]
    answer = door.ask("/", name=f"www.{HOSTNAME}") if path == "www" else door.ask(path, *large)
    for name, value in SECURITY.items():
        assert answer.all(name) == [value]
    assert len(answer.all("x-request-id")) == 1
    assert answer.all("via") == answer.all("alt-svc") == []
    assert answer.all("server") == (["Apache"] if door.host.proxy == "apache" else [])


def test_what_the_app_says_itself_stands(door: Door) -> None:
    answer = door.ask("/own")
    assert answer.all("strict-transport-security") == ["max-age=1"]
    assert answer.all("x-frame-options") == ["DENY"]
    assert answer.all("x-request-id") == ["own"]
    assert answer.all("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize("framing", [[], ["-H", "Transfer-Encoding: chunked", "--http1.1"]])
def test_a_body_over_the_limit_is_refused(door: Door, tmp_path: Path, framing: list[str]) -> None:
    apache = door.host.proxy == "apache"
    for size, status in ((1_000_000, 200), (1_000_001, 413)):
        (tmp_path / "body").write_bytes(b"x" * size)
        upload = ["-X", "POST", "--data-binary", f"@{tmp_path / 'body'}", *framing]
        if apache and not framing and status == 413:  # whose answer is mostly cut off by the end of the stream
            done = door.curl(*upload, place="edge", name=HOSTNAME, path="/", client="client.pem")
            assert done.returncode or done.stdout.startswith("HTTP/2 413"), done
            upload += ["--http1.1"]
        answer = door.ask("/", *upload)
        if apache and framing:  # which can't count what is not announced
            status = 411
        assert answer.status == status
        if status == 200:
            assert json.loads(answer.body)["length"] == size


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("GET / HTTP/1.1\r\nHost: example.com\r\nX-Large: " + "x" * 140_000, ("HTTP/1.1 431", "HTTP/1.1 400")),
        ("GET /" + "x" * 40_000 + " HTTP/1.1\r\nHost: example.com\r\n\r\n", ("HTTP/1.1 414", "HTTP/1.1 400")),
        (
            "GET / HTTP/1.1\r\nHost: example.com\r\n" + "X-Many: many\r\n" * 12_000 + "\r\n",
            ("HTTP/1.1 431", "HTTP/1.1 400"),
        ),
        ("GET / HTTP/1.1\r\nHost: example.com\r\nHost: other.example.com\r\n\r\n", "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\n\r\n", ("HTTP/1.1 400", "HTTP/1.1 421")),
        (
            "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            ("HTTP/1.1 501", "HTTP/1.1 400"),
        ),
        ("GET / HTTP/1.1\r\nHost: example.com\r\nX-Real-IP : 1.1.1.1\r\n\r\n", "HTTP/1.1 400"),
    ],
    ids=[
        "headers over the limit",
        "line over the limit",
        "too many headers",
        "two hosts",
        "no host",
        "odd framing",
        "space in a name",
    ],
)
@pytest.mark.usefixtures("untouched")
def test_what_proxies_and_servers_read_differently_is_refused(
    door: Door, request_: str, answer: str | tuple[str, ...]
) -> None:
    argv = [sys.executable, "-c", RAW, door.host.ipv4, str(door.certificates / "client.pem")]
    done = network.exec_in(door.host.world, "edge", argv, input=request_, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith(answer), done


def test_it_compresses_when_asked(door: Door) -> None:
    assert door.ask("/", "-H", "Accept-Encoding: gzip", "--compressed").all("content-encoding") == ["gzip"]
    assert door.ask("/").all("content-encoding") == []


LOGGED = {
    "client_ip": "203.0.113.9",
    "remote_ip": "198.18.16.10",
    "method": "GET",
    "proto": "HTTP/2.0",
    "host": HOSTNAME,
    "uri": "/logged",
    "status": 200,
    "cf_ray": "ray-7",
}


def logged(door: Door) -> str:
    door.host.run("journalctl", "--sync")
    return door.host.run("journalctl", "-u", door.host.program.unit, "-n", "20", "-o", "cat")


def test_the_log_tells_who_and_what_and_no_secret(door: Door) -> None:
    secrets = ["-H", "Cookie: session=canary", "-H", "Authorization: Bearer canary", "-H", "X-Any: canary"]
    answer = door.ask("/logged", *secrets, "-H", "CF-Connecting-IP: 203.0.113.9", "-H", "CF-Ray: ray-7")
    door.ask("/health")
    door.ask("/after")
    until(lambda: '"/after"' in logged(door))
    log = logged(door)
    entries = [json.loads(line) for line in log.splitlines() if '"uri"' in line]
    entry = next(entry for entry in entries if entry["uri"] == "/logged")
    # What Caddy says beyond this it says of every line.
    assert {name: value for name, value in entry.items() if name in LOGGED} == LOGGED
    assert entry["size"] > 1000 and entry["duration"] < 10 and entry["user_agent"].startswith("curl/")
    assert abs(entry["ts"] - time.time()) < 60
    assert [entry["request_id"]] == answer.all("x-request-id") == [json.loads(answer.body)["HTTP_X_REQUEST_ID"]]
    assert "canary" not in log
    assert not [entry for entry in entries if entry["uri"] == "/health"]


def test_an_app_that_is_down_is_waited_for_and_then_said_to_be(door: Door) -> None:
    door.host.run("systemctl", "stop", "echo")
    try:
        answer = door.ask("/")
        assert answer.status in (502, 503)
        assert answer.all("retry-after") == ["5"]
        assert answer.all("cache-control") == ["no-store"]
        assert answer.all("x-request-id")[0] in answer.body
        assert answer.all("strict-transport-security") == [SECURITY["strict-transport-security"]]
    finally:
        door.host.run("systemctl", "start", "echo")
        door.host.run("sh", "-c", AWAIT_APP)


@pytest.mark.usefixtures("untouched")
def test_in_maintenance_everybody_gets_the_page_and_503(door: Door) -> None:
    page = door.host.path("/srv/app/maintenance.html")
    page.write_text("<!doctype html><h1>Back at 5</h1>\n")
    page.chmod(0o644)
    try:
        # Apache resets an HTTP/2 stream whose body it leaves unread, now and then before the page is out.
        posted = ["-d", "a=b", *(["--http1.1"] if door.host.proxy == "apache" else [])]
        for options in ([], ["--http1.1"], posted, ["-H", "If-None-Match: *"]):
            answer = door.ask("/any", *options)
            assert (answer.status, answer.body) == (503, "<!doctype html><h1>Back at 5</h1>\n"), options
            assert answer.all("content-type")[0].startswith("text/html")
            assert answer.all("retry-after") == ["60"]
            assert answer.all("cache-control") == ["no-store"]
            for name, value in SECURITY.items():
                assert answer.all(name) == [value]
    finally:
        page.unlink()


def test_after_maintenance_the_app_answers(door: Door) -> None:
    assert door.ask("/").status == 200


def test_a_reload_cuts_no_request(door: Door) -> None:
    with _slow(door) as slow:
        until(lambda: "http.sock" in door.host.run("ss", "-xH", "state", "connected"))
        door.host.run("systemctl", "reload", door.host.program.unit)
        out, _ = slow.communicate(timeout=20)
    assert out.split()[1] == "200"


def patience(door: Door) -> list[str]:
    """Apache opens the port itself: who comes while it is down is refused, and comes again."""
    return ["--retry", "20", "--retry-delay", "1", "--retry-all-errors"] if door.host.proxy == "apache" else []


def test_a_restart_of_the_proxy_loses_nobody(door: Door) -> None:
    """Requests under way end, new ones wait: as when unattended-upgrades brings a new one."""
    with _slow(door) as slow, ThreadPoolExecutor() as pool:
        until(lambda: "http.sock" in door.host.run("ss", "-xH", "state", "connected"))
        restart = pool.submit(door.host.run, "systemctl", "restart", door.host.program.unit)
        answers = []
        while not restart.done():
            answers.append(door.ask("/", *patience(door)))
        assert slow.communicate(timeout=20)[0].split()[1] == "200"
    assert {answer.status for answer in answers} == {200}


def test_a_killed_proxy_keeps_visitors_waiting_not_away(door: Door) -> None:
    door.host.run("systemctl", "kill", "-s", "KILL", door.host.program.unit)
    assert door.ask("/", *patience(door)).status == 200


def entered(door: Door, argv: list[str], stdin: int | None = None) -> subprocess.Popen[bytes]:
    """A process in the edge's place."""
    argv = ["ip", "netns", "exec", door.host.world.namespace("edge"), *argv]
    return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)


def uploading(door: Door, path: str, *options: str) -> subprocess.Popen[bytes]:
    """A client that sends what it is told to, as it is told."""
    argv = [
        "curl",
        "-ski",
        "--max-time",
        "20",
        "--cert",
        str(door.certificates / "client.pem"),
        "-X",
        "POST",
        "-T",
        "-",
        *options,
    ]
    argv += ["--resolve", f"{HOSTNAME}:443:{door.host.ipv4}", f"https://{HOSTNAME}{path}"]
    return entered(door, argv, subprocess.PIPE)


HALF = 400_000
ANNOUNCED = ["-H", "Transfer-Encoding:", "-H", f"Content-Length: {2 * HALF}"]


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
@pytest.mark.parametrize("buffered", [False, True], ids=["streamed", "buffered"])
def test_a_body_reaches_the_app_as_it_comes_or_once_it_is_whole(
    door: Door, listener: Listener, protocol: str, announced: bool, buffered: bool
) -> None:
    listener.behind(buffer_uploads=buffered)
    framing = ANNOUNCED if announced else []
    with uploading(door, "/upload", protocol, *framing) as client:
        assert client.stdin and client.stdout
        client.stdin.write(b"x" * HALF)
        if door.host.proxy == "apache" and not (announced or buffered):  # which can't bound what it streams uncounted
            client.stdin.close()
            answer = client.stdout.read()
            assert answer.split()[1:2] == [b"411"] or (answer == b"" and protocol == "--http2")
            assert listener.seen() == []
            return
        if buffered:
            time.sleep(1)
            assert listener.seen() == []
        else:
            listener.await_seen("POST /upload")
            until(lambda: any(line[0] in "123456789" for line in listener.seen()), seconds=20)
            assert "whole" not in "".join(listener.seen())
        client.stdin.write(b"x" * HALF)
        client.stdin.close()
        assert b" 200" in client.stdout.read()
    assert listener.seen()[0] == "POST /upload"
    assert listener.seen()[-1] == f"whole, {2 * HALF}"


def test_slow_clients_are_given_up(door: Door, listener: Listener) -> None:
    """Their headers, their bodies, and what they read."""
    listener.behind(header_timeout=2, body_timeout=2, answer_timeout=2)
    argv = [sys.executable, str(HERE / "slow_client.py"), door.host.ipv4, str(door.certificates / "client.pem")]
    clients = {case: entered(door, [*argv, case]) for case in ("header", "body", "h2-body", "reading")}
    ended = {case: json.loads(client.communicate()[0]) for case, client in clients.items()}
    for case in ("header", "body", "h2-body"):
        assert ended[case]["seconds"] < 28, "its own patience was shorter"
        assert " 200" not in ended[case]["said"] and ended[case]["said"] != "200"
    assert ended["header"]["seconds"] > 1
    assert ended["reading"]["said"] == "HTTP/1.1 200 OK"
    assert ended["reading"]["size"] < MUCH
    assert "".join(listener.seen()).count("whole") == 1  # of the one that reads slowly


def test_a_visitor_who_asks_too_often_is_told_when_to_come_again(door: Door, wrapped: Callable[..., None]) -> None:
    wrapped("gunicorn", {"requests": 3, "seconds": 3600, "burst": 3, "paths": ["/limited"]})

    def statuses(visitor: str, path: str = "/limited", *options: str) -> list[int]:
        return [door.ask(path, "-H", f"CF-Connecting-IP: {visitor}", *options).status for _ in range(5)]

    assert statuses("203.0.113.7", "/") == [200] * 5
    assert statuses("203.0.113.7") == [200] * 3 + [429] * 2
    assert statuses("203.0.113.7", "/limited", *forged()) == [429] * 5
    assert statuses("203.0.113.7", "/") == [200] * 5
    assert statuses("2001:db8:1:2::a") == [200] * 3 + [429] * 2
    assert statuses("2001:db8:1:2:ffff::b") == [429] * 5
    assert statuses("2001:db8:1:3::a") == [200] * 3 + [429] * 2
    assert statuses("2a06:98c0:3600::103") == [200] * 3 + [429] * 2  # all Workers
    answer = door.ask("/limited", "-d", "x" * 100_000, "-H", "CF-Connecting-IP: 203.0.113.7")
    assert answer.status == 429
    assert 1000 < int(answer.all("retry-after")[0]) <= 1200
    assert answer.all("cache-control") == ["no-store"]
    assert answer.all("x-request-id")[0] in answer.body
    assert answer.all("strict-transport-security") == [SECURITY["strict-transport-security"]]


UPGRADE = "GET /echo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
UPGRADE += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SPEAK = (
    RAW.partition("    print")[0]
    + """
    def until(end):
        received = b""
        while end not in received and (part := secure.recv(4096)):
            received += part
        return received

    head = until(b"\\r\\n\\r\\n")
    if b" 101 " in head:
        secure.sendall(b"\\x81\\x85\\0\\0\\0\\0hello")  # a text, masked with zeros
    sys.stdout.buffer.write(head + (b"" if sys.argv[3].encode() in head else until(sys.argv[3].encode())))
"""
)


def spoken(door: Door, text: str, end: str) -> str:
    """What is answered, until `end`; where a WebSocket is opened, also to a hello on it."""
    argv = [sys.executable, "-c", SPEAK, door.host.ipv4, str(door.certificates / "client.pem"), end]
    done = network.exec_in(door.host.world, "edge", argv, input=text.encode(), capture_output=True, timeout=30)
    return done.stdout.decode("latin-1")


def test_a_websocket_is_opened_by_who_can_and_plainly_refused_by_who_cannot(
    door: Door, wrapped: Callable[..., None]
) -> None:
    wrapped("gunicorn")
    said = spoken(door, f"{UPGRADE}\r\n", "HELLO")
    assert said.startswith("HTTP/1.1 101 ")
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in said  # RFC 6455's own example
    assert said.endswith("\x81\x05HELLO")
    door.host.run("systemctl", "stop", "wrapped")
    wrapped("waitress")
    said = spoken(door, f"{UPGRADE}\r\n", "waitress")
    assert said.startswith("HTTP/1.1 501 ")
    assert "WebSockets are not to be had here: the server is waitress." in said


@pytest.mark.parametrize(
    "asked",
    [
        UPGRADE.replace("GET /echo", "POST /") + "Content-Length: 0\r\n\r\n",
        UPGRADE.replace("GET /echo", "GET /") + "Content-Length: 5\r\n\r\nhello",
        UPGRADE.replace("GET /echo", "GET /") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        UPGRADE.replace("GET /echo", "GET /").replace("websocket", "h2c") + "\r\n",
    ],
    ids=["post", "body", "chunked", "h2c"],
)
def test_nothing_else_is_an_upgrade(door: Door, wrapped: Callable[..., None], asked: str) -> None:
    wrapped("gunicorn")
    said = spoken(door, asked, "no upgrade")
    if door.host.proxy == "apache" and "chunked" in asked:
        assert said.startswith("HTTP/1.1 411 ")
    else:
        assert said.startswith("HTTP/1.1 200 ")
        assert "no upgrade" in said


def _slow(door: Door) -> subprocess.Popen[str]:
    argv = ["curl", "-ski", "--cert", str(door.certificates / "client.pem")]
    argv += ["--resolve", f"{HOSTNAME}:443:{door.host.ipv4}", f"https://{HOSTNAME}/slow"]
    entered = ["ip", "netns", "exec", door.host.world.namespace("edge"), *argv]
    return subprocess.Popen(entered, stdout=subprocess.PIPE, text=True)
