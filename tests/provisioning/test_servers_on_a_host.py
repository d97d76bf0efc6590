"""Every server through the real proxy on a real host. CI tries what covers all kinds; `make test-matrix`, each pair."""

from __future__ import annotations

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
}
IN_CI = {"gunicorn gthread", "gunicorn gevent", "uwsgi", "twisted"}  # waitress: test_release_on_a_host.py
ABRUPT = {"waitress"}
"""Stops at once at SIGTERM: https://github.com/Pylons/waitress/issues/198. A release drains it first."""

APP = FLASK.replace("time.sleep(3)", "time.sleep(5)")
FORGED = (
    *("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 81"),
    *("X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil.test", "Forwarded: for=6.6.6.6;host=evil.test"),
    *("X-Real-IP: 6.6.6.6", "Remote-Addr: 6.6.6.6", "Script-Name: /evil"),
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


def journal(host: ReleasedHost) -> str:
    host.run("journalctl", "--sync")
    return host.run("journalctl", "-u", f"app@{host.live()}", "-o", "cat", "--no-pager", check=True).stdout


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(
    "server", [pytest.param(name, marks=[] if name in IN_CI else pytest.mark.matrix) for name in SERVERS]
)
def test_a_pair(host: ReleasedHost, server: str, proxy: str) -> None:
    settings = {"server": SERVERS[server], "drain": 20}
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


def the_app_sees_the_visitor(host: ReleasedHost) -> None:
    plain = json.loads(ask(host, "/"))
    seen = json.loads(ask(host, "/", *FORGED))
    for answer in (plain, seen):
        assert (answer["address"], answer["scheme"], answer["host"]) == ("127.0.0.1", "https", "example.com")
    assert not {"Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server"} & set(seen["headers"])
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
    slow = "import http.client, socket\nc = http.client.HTTPConnection('example.com')\n" \
           "c.sock = socket.socket(socket.AF_UNIX)\nc.sock.connect('/srv/app/current.sock')\n" \
           "c.request('GET', '/slow')\nprint(c.getresponse().read().decode())"  # fmt: skip
    host.run("systemd-run", "--quiet", "--unit=slow", "--remain-after-exit", "python3", "-c", slow, check=True)
    until(lambda: f"/run/app/{host.live()}/http.sock" in host.run("ss", "-xH", "state", "connected").stdout, seconds=5)
    time.sleep(1)  # the request is being worked on
    began = time.monotonic()
    host.run("systemctl", "stop", f"app@{host.live()}", check=True)
    assert time.monotonic() - began < 11
    host.run("journalctl", "--sync")
    said = host.run("journalctl", "-u", "slow", "-o", "cat", "--no-pager").stdout
    host.run("systemctl", "stop", "slow")
    host.run("systemctl", "reset-failed", "slow")
    assert ("slow" in said.splitlines()) == graceful
    host.run("systemctl", "start", f"app@{host.live()}", check=True)
