"""uWSGI's own protocol between the real proxy and a release: the app is told the same, and nothing is lost."""

from __future__ import annotations

import concurrent.futures
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.proxies import Kind
from tests.provisioning.door import VISITOR, Door, asked, opened
from tests.provisioning.origin_host import HOSTNAME, OriginHost, Site
from tests.provisioning.released import FLASK, ReleasedHost
from tests.provisioning.test_origin_machine import FORGED
from tests.rehearsal.cloud.standing import until

pytestmark = pytest.mark.machines

APP = f"""{FLASK}
import json

def telling(flask):
    def answer(environ, start_response):
        if not environ["PATH_INFO"].startswith("/told"):
            return flask(environ, start_response)
        told = {{name: value for name, value in environ.items() if isinstance(value, str)}}
        text = json.dumps(told | {{"RELEASE": os.environ["RELEASE"]}}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]
    return answer

app.wsgi_app = telling(app.wsgi_app)
"""
CHUNKED = "Transfer-Encoding: chunked"
PATHS = ("/told", "/told/a%2Fb", "/told/a%20b%C3%A9%FF?c=%2F&d=a+b", "/told/a?", "/told/a;b=c@d", "/told//a///b/")
DYNAMIC = ("File", "Script", "Module", "Chdir", "Pyhome", "Touch-Reload")
"""UWSGI_FILE and the like: with them whoever speaks to the socket has uWSGI run what he likes.
https://uwsgi-docs.readthedocs.io/en/latest/DynamicApps.html"""


@pytest.mark.parametrize("proxy", ["nginx", pytest.param("apache", marks=pytest.mark.matrix)])
def test_proxy_and_release_need_not_agree(
    hosts: Callable[[Kind], OriginHost], site: Site, proxy: Kind, tmp_path: Path
) -> None:
    machine = hosts(proxy)
    host = ReleasedHost(world=machine.world, id=machine.id, out=tmp_path)
    with opened(host, site, tmp_path, proxy=proxy, uwsgi=True) as door:
        first = deploy(host, 0, "http")
        assert told(door)["RELEASE"] == first
        with door.steady_load() as found:
            for number in (1, 2):
                deploy(host, number, "uwsgi")
        assert found["lost"] == []
        assert all(found["answered"].values())
        assert host.units() == [host.live()]
        it_is_the_proxy_s_socket_alone(door, machine.program.user)
        nothing_forged_is_acted_upon(door)
        more_than_fits = [f"X-{n}: {'x' * 7000}" for n in range(10)]
        assert door.answers([asked("/health", *more_than_fits)])[0].status == 500
        host.release("maintenance", "on", check=True)
        assert door.answers([asked("/health")])[0].status == 503
        host.release("maintenance", "off", check=True)
        over_uwsgi = [shared(told(door, path)) for path in PATHS]
    with opened(host, site, tmp_path, proxy=proxy, uwsgi=True, buffer_uploads=True) as door:
        assert [answer.body for answer in door.answers([*map(upload, ("Content-Length: 5", CHUNKED))])] == ["5", "5"]
    with opened(host, site, tmp_path, proxy=proxy, uwsgi=True, static=("/told/files",)) as door:
        assert door.get("/told/files/a.css") == "a"
        (answer,) = door.answers([asked("/told/files/a.css").replace("GET", "OPTIONS", 1)])
        assert json.loads(answer.body)["PATH_INFO"] == "/told/files/a.css", "not its place on the disk"
    with opened(host, site, tmp_path, proxy=proxy) as door:
        assert [shared(told(door, path)) for path in PATHS] == over_uwsgi
    with opened(host, site, tmp_path, proxy=proxy, uwsgi=True) as door:
        host.release("rollback", first, check=True)
        assert told(door)["RELEASE"] == first


def deploy(host: ReleasedHost, number: int, protocol: str) -> str:
    settings = {
        "server": {"kind": "uwsgi", "protocol": protocol},
        "drain": 20,
        "static": {"/told/files": "files"},
        "health": {"path": "/health", "timeout": 60},
    }
    files = {"app.py": f"{APP}\n# {number}\n", "requirements.txt": "flask==3.1.3\n", "files/a.css": "a"}
    host.deploy(files, settings=settings)
    return host.live()


def upload(framing: str) -> str:
    body = "5\r\nhello\r\n0\r\n\r\n" if framing == CHUNKED else "hello"
    return f"POST /size HTTP/1.1\r\nHost: {HOSTNAME}\r\nConnection: close\r\n{framing}\r\n\r\n{body}"


def told(door: Door, path: str = "/told", *headers: str) -> dict[str, str]:
    """The text in what the app is told of a visitor's request."""
    return json.loads(door.get(path, *headers))


def shared(environ: dict[str, str]) -> dict[str, str]:
    """Of that what must not differ between protocols, nor from one time to the next."""
    same = r"REQUEST_(METHOD|URI)|PATH_INFO|SCRIPT_NAME|QUERY_STRING|CONTENT_\w+|SERVER_(NAME|PORT|PROTOCOL)"
    same += r"|REMOTE_ADDR|wsgi\.url_scheme|HTTP_(?!CONNECTION|X_REQUEST_ID)\w+"
    return {name: value for name, value in environ.items() if re.fullmatch(same, name) and value}


def it_is_the_proxy_s_socket_alone(door: Door, proxy: str) -> None:
    host, folder = door.host, f"/run/app/{door.host.live()}"
    for name, mode in (("", 750), ("uwsgi", 750), ("http.sock", 660), ("uwsgi/app.sock", 660)):
        assert host.run("stat", "-c", "%a %U %G", f"{folder}/{name}").stdout == f"{mode} app upstream\n"
    knock = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    reach = ("python3", "-c", knock, f"{folder}/uwsgi/app.sock")
    assert "PermissionError" in host.run("runuser", "-u", "build", "--", *reach).stderr
    assert host.run("runuser", "-u", proxy, "-G", "upstream", "--", *reach).returncode == 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(door.get, "/slow")
        used = ("ss", "-xH", "state", "connected")
        until(lambda: f"{folder}/uwsgi/app.sock" in host.run(*used).stdout, seconds=30)
        assert slow.result() == "slow"


def nothing_forged_is_acted_upon(door: Door) -> None:
    forged = FORGED | {f"{how}{name}": "/etc/passwd" for name in DYNAMIC for how in ("Uwsgi-", "Http-Uwsgi-", "UWSGI_")}
    seen = told(door, "/told", *map(": ".join, forged.items()), "Connection: close, X-Real-IP, X-Forwarded-For")
    assert (seen["REMOTE_ADDR"], seen["SERVER_NAME"], seen["SERVER_PORT"]) == (VISITOR, HOSTNAME, "443")
    assert (seen["wsgi.url_scheme"], seen["HTTP_HOST"], seen["PATH_INFO"]) == ("https", HOSTNAME, "/told")
    assert re.fullmatch("[0-9A-Za-z@_-]{24,36}", seen["HTTP_X_REQUEST_ID"])
    assert [seen[f"HTTP_{name}"] for name in ("CF_CONNECTING_IP", "X_REAL_IP", "X_FORWARDED_FOR")] == [VISITOR] * 3
    assert {name for name in seen if name.startswith("UWSGI_")} <= {"UWSGI_ROUTER"}
    assert not [value for value in seen.values() if "6.6.6." in value or "forged" in value]
