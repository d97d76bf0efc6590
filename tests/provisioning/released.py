"""A real host for the tests of releases: bootstrapped by the program's own user data, with the tools installed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning import app, origin, tools
from provisioning import host as provisioned
from provisioning.ranges import FALLBACK
from rehearsal.cloud import machine
from rehearsal.cloud.world import World
from settings import App
from tests.rehearsal.cloud.standing import until

FLASK = """\
import os, time
from flask import Flask, request

app = Flask(__name__)

@app.get("/")
def index():
    return {"release": os.environ["RELEASE"], "address": request.remote_addr, "scheme": request.scheme,
            "host": request.host, "headers": sorted(k for k, _ in request.headers)}

@app.get("/health")
def health():
    return "ok"

@app.post("/echo")
def echo():
    return request.get_data()

@app.post("/size")
def size():
    return str(len(request.get_data()))

@app.route("/slow", methods=["GET", "POST"])
def slow():
    request.get_data()
    time.sleep(5)
    return "slow"

@app.get("/much")
def much():
    return "x" * 20_000_000
"""


@dataclass(kw_only=True)
class ReleasedHost:
    """A machine of the rehearsal on which apps are released, past SSH."""

    world: World
    id: str = "released"
    out: Path
    """Where archives are packed."""

    @property
    def root(self) -> Path:
        """The machine's file system."""
        return Path(f"/proc/{machine.init_pid(self.world, self.id)}/root")

    def bootstrap(self) -> None:
        until(lambda: (self.root / "var/lib/origin/bootstrapped").exists(), seconds=300)
        self.run("sh", "-c", tools.INSTALL.replace("sudo ", ""), input=tools.archive(), check=True)

    def run(
        self, *argv: str, input: str | None = None, check: bool = False, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        done = machine.execute(
            self.world, self.id, argv, input=input, capture_output=True, text=True, check=False, timeout=timeout
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done

    def release(self, *argv: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return self.run("release", *argv, **kwargs)

    def status(self) -> dict[str, Any]:
        return json.loads(self.release("list", "--json", check=True).stdout)

    def live(self) -> str:
        return self.status()["live"]

    def manifest(
        self,
        files: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Pack and upload an app of these files, with more `settings` of the stack's app; the manifest in JSON."""
        folder = self.out / "app"
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        packed = app.archive(folder, self.out / "archives")
        written = {"source": str(folder), "entrypoint": "app:app", "health": {"path": "/health", "timeout": 10}}
        asked = App.model_validate({**written, **(settings or {})})
        made = {
            **app.manifest(packed, asked, asked.entrypoint or "", "example.com"),
            "environment": dict(environment or {}),
        }
        (self.root / made["archive"].lstrip("/")).write_bytes(packed.path.read_bytes())
        return json.dumps(made | changes)

    def deploy(
        self, files: Mapping[str, str], *, check: bool = True, **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        return self.release("deploy", input=self.manifest(files, **changes), check=check)

    def get(self, path: str = "/", *headers: str) -> str:
        """What the live release answers on its socket; "" when it answers nothing or an error."""
        return self.run("python3", "-c", _GET, path, *headers).stdout

    def units(self) -> Sequence[str]:
        out = self.run("systemctl", "list-units", "--plain", "--no-legend", "app@*", check=True).stdout
        return [line.split()[0].removeprefix("app@").removesuffix(".service") for line in out.splitlines()]


@contextlib.contextmanager
def caddy(host: ReleasedHost) -> Iterator[None]:
    """The real proxy with the real way to the app, without TLS, on 127.0.0.1:8080."""
    proxy = origin.ProxyOptions()
    text = origin.configuration(hostname="example.com", redirects=(), ranges=FALLBACK, proxy=proxy)["Caddyfile"]
    to_app = re.search(r"^(\t+)reverse_proxy unix.*?^\1}$", text, re.MULTILINE | re.DOTALL)
    assert to_app
    dropped = re.findall(rf"^{to_app[1]}request_header -\S+$", text, re.MULTILINE)
    site = "\n".join(["\tbind 127.0.0.1", *dropped, to_app[0]])
    caddyfile = "{\n\tadmin off\n\tauto_https off\n}\nhttp://:8080 {\n" + site + "\n}\n"
    (host.root / "etc/caddy/Caddyfile.load").write_text(caddyfile)
    as_the_proxy = (f"--property={line}" for line in ("User=caddy", "Group=caddy", "SupplementaryGroups=upstream"))
    unit = ("systemd-run", "--quiet", "--unit=caddy-load", *as_the_proxy)
    run = ("caddy", "run", "--config", "/etc/caddy/Caddyfile.load", "--adapter", "caddyfile")
    host.run(*unit, "--setenv=HOME=/var/lib/caddy", *run, check=True)
    try:
        until(lambda: ":8080 " in host.run("ss", "-ltnH").stdout)
        yield
    finally:
        host.run("systemctl", "stop", "caddy-load", check=True)


@contextlib.contextmanager
def steady_load(host: ReleasedHost) -> Iterator[dict[str, Any]]:
    """The load of steady_load.py for the length of the block; what it found, once that is over."""
    load = (Path(__file__).parent / "steady_load.py").read_text()
    unit = ("systemd-run", "--quiet", "--pipe", "--wait", "--unit=load")
    found: dict[str, Any] = {}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        loaded = pool.submit(host.run, *unit, "python3", "-c", load, timeout=700)
        try:
            time.sleep(1)
            yield found
        finally:
            time.sleep(1)
            host.run("systemctl", "stop", "load", check=True)
        found |= json.loads(loaded.result().stdout)
    print(found)


_GET = """
import http.client, socket, sys
connection = http.client.HTTPConnection("example.com", timeout=10)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("/srv/app/current.sock")
connection.request("GET", sys.argv[1], headers=dict(h.split(": ", 1) for h in sys.argv[2:]))
answer = connection.getresponse()
body = answer.read().decode()
print(body if answer.status == 200 else "", end="")
"""


def code(number: int = 0, extra: str = "") -> dict[str, str]:
    """The app, in as many versions as there are numbers."""
    return {"app.py": f"{FLASK}\n# {number}\n{extra}", "requirements.txt": "flask==3.1.3\n"}


def user_data() -> str:
    return provisioned.user_data(cloud="digitalocean", proxy="caddy")
