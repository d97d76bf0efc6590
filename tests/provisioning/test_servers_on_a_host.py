"""Every server behind every proxy on a real host. CI tries what covers all kinds; `make test-matrix`, each pair."""

from __future__ import annotations

import concurrent.futures
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.proxies import PROGRAMS, Kind
from rehearsal.checks import visitor
from tests.provisioning.door import VISITOR, Door, asked, opened
from tests.provisioning.origin_host import KINDS, OriginHost, Site
from tests.provisioning.released import FLASK, ReleasedHost
from tests.rehearsal.cloud.standing import until

pytestmark = pytest.mark.machines

SERVERS: dict[str, dict[str, Any]] = {
    "waitress": {"kind": "waitress"},
    "gunicorn gthread": {"kind": "gunicorn"},
    "gunicorn sync": {"kind": "gunicorn", "worker_class": "sync"},
    "gunicorn gevent": {"kind": "gunicorn", "worker_class": "gevent"},
    "gunicorn eventlet": {"kind": "gunicorn", "worker_class": "eventlet"},
    "uwsgi": {"kind": "uwsgi"},
    "uwsgi, its own protocol": {"kind": "uwsgi", "protocol": "uwsgi"},
    "uwsgi gevent": {"kind": "uwsgi", "gevent": 100},
    "granian": {"kind": "granian"},
    "gevent": {"kind": "gevent"},
    "eventlet": {"kind": "eventlet"},
    "twisted": {"kind": "twisted"},
    "mod_wsgi": {"kind": "mod_wsgi"},
}
PAIRS: list[tuple[Kind, str]] = [
    (proxy, server)
    for proxy in KINDS
    for server, options in SERVERS.items()
    if PROGRAMS[proxy].uwsgi or options.get("protocol") != "uwsgi"
]
IN_CI = {
    ("caddy", "gunicorn gthread"),
    ("nginx", "uwsgi, its own protocol"),
    ("nginx", "twisted"),
    ("apache", "gunicorn gevent"),
}  # caddy with waitress: test_release_on_a_host.py
ABRUPT = {"waitress"}
"""Stops at once at SIGTERM: https://github.com/Pylons/waitress/issues/198. A release drains it first."""

WEBSOCKETS = {"gunicorn gthread", "gunicorn gevent", "gunicorn eventlet", "gevent", "eventlet"}
"""Who gives the app its connection; the others refuse."""

APP = (
    FLASK.replace('"host": ', '"url": request.url, "host": ')
    + """
from flask_sock import Sock

@Sock(app).route("/websocket")
def websocket(ws):
    ws.send("hello")

@Sock(app).route("/talk")
def talk(ws):
    while word := ws.receive():
        ws.send(os.environ["RELEASE"])
"""
)
OF_CGI = ("Remote-Addr", "Remote-Host", "Script-Name", "Path-Info", "Server-Name", "Server-Port", "Http-Host", "Https")
"""Headers that a server could mistake for variables of its own."""
NAMES = [
    spelt
    for name in (*visitor.LIES, *OF_CGI, "Wsgi.Url-Scheme", "Proxy", "Via")
    if name != "CF-Connecting-IP"  # which Cloudflare always says itself
    for spelt in dict.fromkeys((name, name.replace("-", "_"), name.replace("-", "_", 1), name.lower()))
]
VALUES = (
    "6.6.6.6",
    "6.6.6.6, 127.0.0.1",
    "http",
    "evil.test",
    "for=6.6.6.6;proto=http;host=evil.test",
)


@pytest.fixture(scope="module")
def released(
    hosts: Callable[[Kind], OriginHost], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Kind], ReleasedHost]:
    """The machine of a proxy, as one on which apps are released."""

    def host_with(proxy: Kind) -> ReleasedHost:
        host = hosts(proxy)
        return ReleasedHost(world=host.world, id=host.id, out=tmp_path_factory.mktemp("apps"))

    return host_with


@pytest.fixture(scope="module")
def host(released: Callable[[Kind], ReleasedHost]) -> ReleasedHost:
    return released("caddy")


def app(number: int) -> dict[str, str]:
    return {"app.py": f"{APP}\n# {number}\n", "requirements.txt": "flask==3.1.3\nflask-sock==0.7.0\n"}


def journal(host: ReleasedHost) -> str:
    host.run("journalctl", "--sync")
    return host.run("journalctl", "-u", f"app@{host.live()}", "-o", "cat", "--no-pager", check=True).stdout


@pytest.mark.parametrize(
    ("proxy", "server"),
    [
        pytest.param(proxy, server, marks=[] if (proxy, server) in IN_CI else pytest.mark.matrix)
        for proxy, server in PAIRS
    ],
)
def test_a_pair(released: Callable[[Kind], ReleasedHost], site: Site, proxy: Kind, server: str, tmp_path: Path) -> None:
    host = released(proxy)
    served = {**SERVERS[server], "access_log": True}
    settings = {"server": served, "drain": 20, "health": {"path": "/health", "timeout": 60}}
    began = time.monotonic()
    host.deploy(app(0), settings=settings)
    with opened(host, site, tmp_path, proxy=proxy, uwsgi=served.get("protocol") == "uwsgi") as door:
        the_app_sees_the_visitor(door)
        websockets_are_opened_or_refused(door, server)
        bodies_arrive_whole(door, chunked=proxy != "apache")
        a_dead_process_is_replaced(door)
        with door.steady_load() as found:
            for number in (1, 2):
                host.deploy(app(number), settings=settings)
    assert found["lost"] == []
    assert all(found["answered"].values())
    a_stop_is_graceful_within_its_bound(host, graceful=server not in ABRUPT)
    print(f"{proxy} + {server}: {sum(found['answered'].values())} answered, none lost, p99 {found['p99']} ms, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip


@pytest.mark.parametrize(
    ("proxy", "server"),
    [
        pytest.param(proxy, server, marks=[] if (proxy, server) in IN_CI else pytest.mark.matrix)
        for proxy, server in PAIRS
        if server in WEBSOCKETS
    ],
)
def test_a_websocket_goes_on_through_a_release_until_the_old_one_is_drained(
    released: Callable[[Kind], ReleasedHost], site: Site, proxy: Kind, server: str, tmp_path: Path
) -> None:
    host, drain = released(proxy), 3
    settings = {"server": SERVERS[server], "drain": drain, "health": {"path": "/health", "timeout": 60}}
    host.deploy(app(7), settings=settings)
    old = host.live()
    with opened(host, site, tmp_path, proxy=proxy) as door, door.websocket() as talked:
        done = host.deploy(app(8), settings=settings)
        assert f"connection(s) cut after {drain} s of draining" in done.stdout + done.stderr
        assert host.units() == [host.live()]
        assert door.get("/health") == "ok"
    first, *said, end = talked
    assert first.startswith("HTTP/1.1 101 ")
    assert set(said) == {old}, "it stays with the release that it began with"
    assert end == "cut"


@pytest.mark.matrix
def test_apache_s_port_is_of_use_to_nobody_else(host: ReleasedHost) -> None:
    host.deploy(app(6), settings={"server": SERVERS["mod_wsgi"], "health": {"path": "/health", "timeout": 60}})
    listening = host.run("ss", "-ltnpH", check=True).stdout
    port = re.search(r"127\.0\.0\.1:(\d+) .*apache2", listening)
    assert port, listening
    knock = (  # prints the status line's beginning
        "import socket, sys\nport, first = sys.argv[1:]\nc = socket.create_connection(('127.0.0.1', port), 5)\n"
        "c.sendall(first.encode() + b'GET / HTTP/1.0\\r\\nX-Forwarded-For: 6.6.6.6\\r\\n\\r\\n')\n"
        "print(c.recv(12).decode())"
    )
    secret = host.run(
        "sed", "-n", "s/^Require ip //p", f"/run/app/{host.live()}/apache.conf", check=True
    ).stdout.strip()
    assert host.run("python3", "-c", knock, port[1], f"PROXY TCP6 {secret} ::1 1 1\r\n").stdout == "HTTP/1.1 200\n"
    for first in ("", "PROXY TCP6 ::1 ::1 1 1\r\n", "PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n", "PROXY UNKNOWN\r\n"):
        said = host.run("runuser", "-u", "nobody", "--", "python3", "-c", knock, port[1], first, check=True).stdout
        assert said in ("\n", "HTTP/1.1 403\n", "HTTP/1.1 400\n"), first
    assert host.run("runuser", "-u", "nobody", "--", "cat", f"/run/app/{host.live()}/apache.conf").returncode == 1


HOOKS = """
import os, time
timeout, worker_class, bind, accesslog, forwarder_headers = 33, "sync", "0.0.0.0:80", "-", "REMOTE_ADDR"
workers = 1
def post_worker_init(worker):
    os.environ["CONFIGURED"] = f"{worker.cfg.worker_class_str} {worker.cfg.timeout} {worker.cfg.workers}"
"""
INI = """[uwsgi]
http = :80
module = nothing:nowhere
uid = root
env = CONFIGURED=by the app
processes = 2
harakiri = 20
"""
SHOWN = "\n@app.get('/configured')\ndef configured():\n    return os.environ.get('CONFIGURED', '')\n"


@pytest.mark.parametrize(
    ("server", "file", "expected"),
    [
        ({"kind": "gunicorn", "workers": 2}, {"gunicorn.conf.py": HOOKS}, "sync 33 2"),
        ({"kind": "uwsgi", "processes": 1}, {"uwsgi.ini": INI}, "by the app"),
    ],
    ids=["gunicorn.conf.py", "uwsgi.ini"],
)
def test_the_app_s_own_configuration_file_counts_but_for_what_is_the_host_s(
    host: ReleasedHost, server: dict[str, Any], file: dict[str, str], expected: str
) -> None:
    files = {**app(3), **file, "app.py": APP + SHOWN}
    host.deploy(files, settings={"server": server})
    assert host.get("/configured") == expected
    assert ":80 " not in host.run("ss", "-ltnH").stdout
    assert host.run("stat", "-L", "-c", "%a %U", "/srv/app/current.sock").stdout == "660 app\n"


@pytest.mark.parametrize(
    "server", [pytest.param(name, marks=[] if name == "gunicorn gthread" else pytest.mark.matrix) for name in SERVERS]
)
def test_an_app_that_does_not_import_says_so(host: ReleasedHost, server: str) -> None:
    """And the server does not talk over it, also where each of its processes fails, ends and is replaced."""
    done = host.deploy({**app(4), "app.py": "import nowhere"}, settings={"server": SERVERS[server]}, check=False)
    assert done.returncode == 1
    told = done.stderr.partition("  | The app did not load:\n")[2].splitlines()
    assert told[0] == "  | Traceback (most recent call last):"
    assert told[-1] == "  | ModuleNotFoundError: No module named 'nowhere'"
    assert len([line for line in told if "Error" in line]) == 1


FACTORY = "\ndef make(name, *, colour='red'):\n    app.config['MADE'] = f'{name} {colour}'\n    return app\n" \
          "@app.get('/made')\ndef made():\n    return app.config.get('MADE', 'plain')\n"  # fmt: skip


@pytest.mark.parametrize(
    ("entrypoint", "file", "made"),
    [
        ("shop.web:app", "shop/web.py", "plain"),
        ("shop.web:make('here', colour='blue')", "shop/web.py", "here blue"),
        ("deploy/site-wsgi.py", "deploy/site-wsgi.py", "plain"),
    ],
)
def test_every_shape_of_entrypoint(host: ReleasedHost, entrypoint: str, file: str, made: str) -> None:
    settings = {"server": SERVERS["gunicorn gthread"], "entrypoint": entrypoint}
    text = f"{APP}{FACTORY}\napplication = app\n"
    host.deploy({**app(5), "app.py": "", file: text}, settings=settings)
    assert host.get("/made") == made


def the_app_sees_the_visitor(door: Door) -> None:
    forged = [f"{name}: {value}" for name in NAMES for value in VALUES]
    assert len(forged) > 200
    for header, answer in zip(forged, door.answers([asked("/", header) for header in forged]), strict=True):
        assert answer.status == 200, (header, answer)
        seen = json.loads(answer.body)
        found = (seen["address"], seen["scheme"], seen["host"], seen["url"])
        assert found == (VISITOR, "https", "example.com", "https://example.com/"), header
    line = rf'^{re.escape(VISITOR)} "GET /" 200 \d+ms \S+$'
    until(lambda: re.search(line, journal(door.host), re.M), seconds=30)
    assert door.host.run("stat", "-L", "-c", "%a %G", "/srv/app/current.sock").stdout == "660 upstream\n"


def websockets_are_opened_or_refused(door: Door, server: str) -> None:
    upgrade = (
        f"GET /websocket HTTP/1.1\r\nHost: example.com\r\nCF-Connecting-IP: {VISITOR}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    (answer,) = door.answers([upgrade])
    assert answer.status == (101 if server in WEBSOCKETS else 501), answer


def bodies_arrive_whole(door: Door, *, chunked: bool) -> None:
    """Apache takes no body of unannounced length (ADR 90)."""
    head = f"POST /size HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nCF-Connecting-IP: {VISITOR}\r\n"
    chunk = f"2710\r\n{'x' * 10_000}\r\n"
    announced = f"{head}Content-Length: 3000000\r\n\r\n{'x' * 3_000_000}"
    in_chunks = f"{head}Transfer-Encoding: chunked\r\n\r\n{chunk * 300}0\r\n\r\n"
    for answer in door.answers([announced, *([in_chunks] if chunked else [])]):
        assert answer.status == 200, answer
        assert "3000000" in answer.body


def a_dead_process_is_replaced(door: Door) -> None:
    """The youngest process of the unit: a worker where there are any, else the server itself."""
    host = door.host
    unit = f"/sys/fs/cgroup/system.slice/system-app.slice/app@{host.live()}.service/cgroup.procs"
    victim = max(map(int, host.run("cat", unit, check=True).stdout.split()))
    host.run("kill", "-KILL", str(victim), check=True)
    until(lambda: host.run("sh", "-c", f"[ ! -e /proc/{victim} ]").returncode == 0, seconds=30)
    until(lambda: host.get("/health") == "ok", seconds=30)
    assert [door.get("/health") for _ in range(8)] == ["ok"] * 8


def a_stop_is_graceful_within_its_bound(host: ReleasedHost, *, graceful: bool) -> None:
    live = host.live()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(host.get, "/slow")
        until(lambda: f"/run/app/{live}/http.sock" in host.run("ss", "-xH", "state", "connected").stdout, seconds=30)
        time.sleep(1)  # the request is being worked on
        began = time.monotonic()
        host.run("systemctl", "stop", f"app@{live}", check=True)
        assert time.monotonic() - began < 15
        assert slow.result() == ("slow" if graceful else "")
    host.run("systemctl", "start", f"app@{live}", check=True)
