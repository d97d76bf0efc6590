"""Releases as people make them by hand, on the same host and behind the same proxy: Gunicorn in a unit of its own.

The new code is written over the old; then the unit is restarted, or Gunicorn is sent HUP, or USR2.
https://docs.gunicorn.org/en/stable/signals.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.measure import PROJECT
from rehearsal.checks.site import Site

GUNICORN = "gunicorn==27.0.1"
GRACE = 8
"""Seconds that a request under way is given, as the releases beside it give (app.drain)."""
GUNICORN_ARGV = (
    "/srv/plain/venv/bin/gunicorn --bind unix:/run/plain/http.sock --pid /run/plain/pid --umask 7"
    f" --worker-class gthread --workers 2 --threads 8 --graceful-timeout {GRACE} --forwarded-allow-ips '*' hello:app"
)
USR2 = "Gunicorn, USR2"
PREPARE = f"""\
mkdir -p /srv/plain/src
export UV_SYSTEM_CERTS=1 UV_CACHE_DIR=/srv/plain/cache UV_PYTHON_DOWNLOADS=never
/opt/uv/bin/uv venv --quiet --python /usr/bin/python3 /srv/plain/venv
/opt/uv/bin/uv pip install --quiet --compile-bytecode --python /srv/plain/venv/bin/python flask==3.1.3 {GUNICORN}
"""
LINK = 'ln -s "$1" /srv/app/.bench && mv -T /srv/app/.bench /srv/app/current.sock'


class Plain:
    """The unit; `ways` are what can be done to it, by name."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.number = 0
        self.ways: Mapping[str, Callable[[], None]] = {
            "systemctl restart": lambda: self._sh("systemctl restart plain"),
            "Gunicorn, HUP": lambda: self._sh("kill -HUP $(cat /run/plain/pid)"),
            USR2: self._usr2,
        }
        app = PROJECT / "examples/hello"
        self._sh(PREPARE, timeout=300)
        for path in [app / "hello.py", *app.glob("templates/*")]:
            self._write(f"/srv/plain/src/{path.relative_to(app)}", path.read_text())
        self._write("/run/systemd/system/plain.service", Path(__file__).with_name("plain.service").read_text())

    def start(self, way: str) -> None:
        """Start it for one of the ways, and give it the site's traffic."""
        # A master that is followed by another one must not be the process that systemd watches.
        script = f"{GUNICORN_ARGV} --daemon\nexec sleep infinity" if way == USR2 else f"exec {GUNICORN_ARGV}"
        self._write("/srv/plain/start", f"{script}\n")
        self._sh("systemctl daemon-reload; systemctl start plain")
        self._until("test -S /run/plain/http.sock")
        self._sh(LINK, "/run/plain/http.sock")

    def stop(self, socket: str) -> None:
        """Give the traffic back to the release that listens on `socket`."""
        self._sh(LINK, socket)
        time.sleep(GRACE)
        self._sh("systemctl stop plain")

    def release(self, way: str) -> tuple[str, float]:
        """One change of the code, over when nothing of the old is left: the new release's name, and when it began."""
        self.number += 1
        name, began = f"plain-{self.number}", time.monotonic()
        self._sh(f"echo \"RELEASE = '{name}'\" >>/srv/plain/src/hello.py")
        self.ways[way]()
        time.sleep(GRACE + 1)
        return name, began

    def _usr2(self) -> None:
        self._sh("kill -USR2 $(cat /run/plain/pid)")
        self._until("test -s /run/plain/pid.2 && pgrep --parent $(cat /run/plain/pid.2)")
        time.sleep(1)  # the workers import the app; nothing says when they have
        self._sh("kill -WINCH $(cat /run/plain/pid); kill -TERM $(cat /run/plain/pid)")
        # The new master takes over the old one's pid file once that has ended; another USR2 before is ignored.
        self._until("test ! -e /run/plain/pid.2")

    def _until(self, condition: str) -> None:
        self._sh(f"for _ in $(seq 200); do {condition} >/dev/null && exit; sleep 0.1; done; exit 1")

    def _sh(self, script: str, *arguments: str, timeout: float = 60) -> None:
        self.site.read("sh", "-euc", script, "sh", *arguments, timeout=timeout)

    def _write(self, path: str, text: str) -> None:
        self.site.read("sh", "-euc", 'mkdir -p "$(dirname "$1")"; cat >"$1"', "sh", path, input=text)
