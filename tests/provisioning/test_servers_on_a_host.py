"""Every server through the real proxy on a real host. CI tries what covers all kinds; `make test-matrix`, each pair."""

from __future__ import annotations

import concurrent.futures
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.provisioning.released import FLASK, ReleasedHost, caddy, steady_load, user_data
from tests.rehearsal.cloud.standing import booted, until
from tests.rehearsal.conftest import lay

pytestmark = pytest.mark.machines

PROXIES = {"caddy": caddy}
"""Each puts itself on 127.0.0.1:8080 for the length of a block."""

SERVERS: dict[str, dict[str, Any]] = {
    "waitress": {"kind": "waitress"},
    "gunicorn gthread": {"kind": "gunicorn"},
    "gunicorn sync": {"kind": "gunicorn", "worker_class": "sync"},
    "gunicorn gevent": {"kind": "gunicorn", "worker_class": "gevent"},
    "gunicorn eventlet": {"kind": "gunicorn", "worker_class": "eventlet"},
    "uwsgi": {"kind": "uwsgi"},
    "uwsgi gevent": {"kind": "uwsgi", "gevent": 100},
    "granian": {"kind": "granian"},
    "gevent": {"kind": "gevent"},
    "eventlet": {"kind": "eventlet"},
    "twisted": {"kind": "twisted"},
    "mod_wsgi": {"kind": "mod_wsgi"},
}
IN_CI = {"gunicorn gthread", "gunicorn gevent", "uwsgi", "twisted"}  # waitress: test_release_on_a_host.py
ABRUPT = {"waitress"}
"""Stops at once at SIGTERM: https://github.com/Pylons/waitress/issues/198. A release drains it first."""

APP = FLASK.replace('"host": ', '"url": request.url, "host": ')
NAMES = (
    *(
        "X-Forwarded-For",
        "x-forwarded-for",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "Forwarded",
        "forwarded",
        "X-Real-IP",
    ),
    *("X-Forwarded-Proto", "X_FORWARDED_PROTO", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "X-Forwarded-Scheme"),
    *("X-Forwarded-Host", "X_Forwarded_Host", "X-Forwarded-Server", "X-Forwarded-Port", "X-Forwarded-Prefix"),
    *("X-Forwarded-By", "X-Forwarded-User", "X-Client-IP", "True-Client-IP", "Client-IP", "X-Cluster-Client-IP"),
    *("X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Host", "X-Scheme", "X-Url-Scheme", "Front-End-Https"),
    *("Remote-Addr", "REMOTE_ADDR", "Remote-Host", "Script-Name", "SCRIPT_NAME", "Path-Info", "PATH_INFO", "Via"),
    *("Server-Name", "SERVER_NAME", "Server-Port", "Wsgi.Url-Scheme", "Proxy", "Http-Host", "HTTP_HOST", "Https"),
)
VALUES = (
    "6.6.6.6",
    "6.6.6.6, 127.0.0.1",
    "::ffff:6.6.6.6",
    "http",
    "evil.test",
    "for=6.6.6.6;proto=http;host=evil.test",
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleasedHost]:
    for world in lay(tmp_path_factory, "servers"):
        with booted(world, "servers", user_data()):
            host = ReleasedHost(world=world, id="servers", out=tmp_path_factory.mktemp("apps"))
            host.bootstrap()
            yield host


def app(number: int) -> dict[str, str]:
    return {"app.py": f"{APP}\n# {number}\n", "requirements.txt": "flask==3.1.3\n"}


def ask(host: ReleasedHost, path: str, *headers: str, body: int = 0, chunked: bool = False) -> str:
    """What comes back through the proxy for a GET, or a POST of `body` bytes; an error fails the test."""
    return host.run("python3", "-c", _ASK, path, str(body), str(chunked), *headers, check=True).stdout


_ASK = """
import http.client, sys
path, size, chunked, *headers = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
connection.putrequest("POST" if int(size) else "GET", path, skip_host=True)
for header in ["Host: example.com", *headers]:
    connection.putheader(*header.split(": ", 1))
body = [b"x" * 10_000] * (int(size) // 10_000)
if chunked == "True":
    connection.putheader("Transfer-Encoding", "chunked")
elif body:
    connection.putheader("Content-Length", size)
connection.endheaders(iter(body) if body else None, encode_chunked=chunked == "True")
answer = connection.getresponse()
text = answer.read().decode()
assert answer.status == 200, (answer.status, text)
print(text, end="")
"""


_FORGE = """
import http.client, json, sys
for header in ["", *json.load(sys.stdin)]:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    connection.request("GET", "/", headers={"Host": "example.com"} | dict([header.split(": ", 1)] if header else []))
    answer = connection.getresponse()
    print(json.dumps(json.loads(answer.read()) if answer.status == 200 else [answer.status, header]))
"""


def journal(host: ReleasedHost) -> str:
    host.run("journalctl", "--sync")
    return host.run("journalctl", "-u", f"app@{host.live()}", "-o", "cat", "--no-pager", check=True).stdout


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(
    "server", [pytest.param(name, marks=[] if name in IN_CI else pytest.mark.matrix) for name in SERVERS]
)
def test_a_pair(host: ReleasedHost, server: str, proxy: str) -> None:
    settings = {"server": SERVERS[server], "drain": 20, "health": {"path": "/health", "timeout": 60}}
    began = time.monotonic()
    host.deploy(app(0), settings=settings)
    with PROXIES[proxy](host):
        the_app_sees_the_visitor(host)
        bodies_arrive_whole(host)
        a_dead_process_is_replaced(host)
        with steady_load(host) as found:
            for number in (1, 2):
                host.deploy(app(number), settings=settings)
    assert found["lost"] == []
    assert all(found["answered"].values())
    a_stop_is_graceful_within_its_bound(host, graceful=server not in ABRUPT)
    print(f"{server} + {proxy}: {sum(found['answered'].values())} answered, none lost, p99 {found['p99']} ms, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip


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


@pytest.mark.matrix
@pytest.mark.parametrize("server", [name for name in SERVERS if name != "waitress"])
def test_an_app_that_does_not_import_says_so(host: ReleasedHost, server: str) -> None:
    done = host.deploy({**app(4), "app.py": "import nowhere"}, settings={"server": SERVERS[server]}, check=False)
    assert done.returncode == 1
    assert "No module named 'nowhere'" in done.stderr


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


def the_app_sees_the_visitor(host: ReleasedHost) -> None:
    forged = [f"{name}: {value}" for name in NAMES for value in VALUES]
    assert len(forged) > 200
    seen = host.run("python3", "-c", _FORGE, input=json.dumps(forged), check=True).stdout.splitlines()
    assert len(seen) == 1 + len(forged)
    for header, line in zip(["none", *forged], seen, strict=True):
        answer = json.loads(line)
        found = (answer["address"], answer["scheme"], answer["host"], answer["url"])
        assert found == ("127.0.0.1", "https", "example.com", "https://example.com/"), header
    until(lambda: re.search(r'^127\.0\.0\.1 "GET /" 200 \d+ms \S+$', journal(host), re.M), seconds=5)
    assert host.run("stat", "-L", "-c", "%a %G", "/srv/app/current.sock").stdout == "660 upstream\n"


def bodies_arrive_whole(host: ReleasedHost) -> None:
    for chunked in (False, True):
        assert ask(host, "/size", body=3_000_000, chunked=chunked) == "3000000"


def a_dead_process_is_replaced(host: ReleasedHost) -> None:
    """The youngest process of the unit: a worker where there are any, else the server itself."""
    unit = f"/sys/fs/cgroup/system.slice/system-app.slice/app@{host.live()}.service/cgroup.procs"
    victim = max(map(int, host.run("cat", unit, check=True).stdout.split()))
    host.run("kill", "-KILL", str(victim), check=True)
    until(lambda: host.run("sh", "-c", f"[ ! -e /proc/{victim} ]").returncode == 0, seconds=5)
    until(lambda: host.get("/health") == "ok", seconds=10)
    for _ in range(8):
        assert ask(host, "/health") == "ok"


def a_stop_is_graceful_within_its_bound(host: ReleasedHost, *, graceful: bool) -> None:
    live = host.live()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(host.get, "/slow")
        until(lambda: f"/run/app/{live}/http.sock" in host.run("ss", "-xH", "state", "connected").stdout, seconds=5)
        time.sleep(1)  # the request is being worked on
        began = time.monotonic()
        host.run("systemctl", "stop", f"app@{live}", check=True)
        assert time.monotonic() - began < 11
        assert slow.result() == ("slow" if graceful else "")
    host.run("systemctl", "start", f"app@{live}", check=True)
