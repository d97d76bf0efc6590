"""A real host for the tests of releases: bootstrapped by the program's own user data, with the tools installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning import app, tools
from provisioning import host as provisioned
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
