"""What each server carries as it is shipped, against the best of a small sweep and against its own stock defaults.

On a machine of one processor, like the default droplet, each server alone on its unix socket, a new connection for each
request as the proxies make them. Two pages: one that works, and one that mostly waits for an answer from elsewhere.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from bench import cells
from bench.measure import in_turn
from bench.standing import APP, PROBLEMS, Standing, standing

PAGES = {"page": "/page", "waiting": "/waiting-page"}
SWEPT = {
    **dict.fromkeys(("workers", "processes"), (1, 2, 3)),
    **dict.fromkeys(("threads", "blocking_threads"), (1, 4, 8, 16)),
}
"""Settings of servers, and the values that are tried where a server has them."""
STOCK: Mapping[str, str] = {
    "waitress": "{bin}/waitress-serve --unix-socket={socket} --unix-socket-perms=660 app:app",
    "gunicorn": "{bin}/gunicorn --bind=unix:{socket} app:app",
    "uwsgi": "{bin}/uwsgi --http-socket={socket} --chmod-socket=660 --module=app:app",
    "granian": "{bin}/granian --interface=wsgi --uds={socket} app:app",
    "twisted": "{bin}/twistd --nodaemon --pidfile= web --listen=unix:{socket} --wsgi=app.app",
}
"""Each server as its own first page of documentation starts it, but for the socket; mod_wsgi can't have one."""


def measure(loads: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each page and server that has something to tune: pairs of answers a second."""
    rows = []
    with standing(cells.PROXIES[0]) as stood:
        for name, server in cells.servers():
            if swept := list(sweep(server)):
                print(f"  {name}", file=sys.stderr, flush=True)
                try:
                    rows += [{"server": name, **row} for row in _rows(stood, server, swept, loads, seconds)]
                except PROBLEMS as error:
                    rows.append({"server": name, "problem": str(error)})
    return rows


def sweep(server: Mapping[str, Any]) -> Iterator[dict[str, int]]:
    names = [name for name in SWEPT if name in cells.sections()[server["kind"]].model_fields]
    if server.get("gevent") or server.get("worker_class", "gthread") != "gthread":
        names.remove("threads")  # a loop, or one request at a time, in place of them
    for values in itertools.product(*(SWEPT[name] for name in names)) if names else ():
        yield dict(zip(names, values, strict=True))


def _rows(
    stood: Standing, server: dict[str, Any], swept: Sequence[dict[str, int]], loads: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """The sweep only chooses: what is told is measured again, in turn, lest the luckiest look like the best."""
    variants, carried = {}, {}
    for options in swept:
        name = ", ".join(f"{option} {value}" for option, value in options.items())
        variants[name] = _released(stood, {**server, **options})
        carried[name] = {page: _rate(stood, variants[name], path, 2 * seconds) for page, path in PAGES.items()}
    shipped = _released(stood, server)
    folder = stood.site.read("readlink", "--canonicalize", "/srv/app/current")
    with contextlib.ExitStack() as running:
        stock = running.enter_context(_stock(stood, server["kind"], folder)) if server["kind"] in STOCK else None
        for page, path in PAGES.items():
            best = max(carried, key=lambda name, page=page: carried[name][page])
            row: dict[str, Any] = {"page": page, "best": best}
            with _again(stood, variants[best]):
                for other, socket in {"swept": variants[best], **({"stock": stock} if stock else {})}.items():
                    row[other] = in_turn(
                        loads, *(partial(_rate, stood, each, path, seconds) for each in (shipped, socket))
                    )
            yield row


def _released(stood: Standing, server: Mapping[str, Any]) -> str:
    """The socket of a release with these settings, which is live now."""
    stood.up({**APP, "server": server, "keep": 50, "drain": 0})
    return stood.socket()


def _rate(stood: Standing, socket: str, path: str, seconds: float) -> float:
    return stood.put(stood.bare(socket), path, seconds=seconds, keep=False).rate


@contextlib.contextmanager
def _again(stood: Standing, socket: str) -> Iterator[None]:
    """A release that was replaced runs beside the live one."""
    unit = f"app@{PurePosixPath(socket).parent.name}"
    stood.site.read("systemctl", "start", unit)
    try:
        _await(stood, socket)
        yield
    finally:
        stood.site.read("systemctl", "stop", unit)


@contextlib.contextmanager
def _stock(stood: Standing, kind: str, release: str) -> Iterator[str]:
    """The server with its stock defaults, from a release's environment and in its folder; its socket."""
    socket = "/run/stock/http.sock"
    properties = ["User=app", "Group=upstream", "RuntimeDirectory=stock", "UMask=0007"]
    properties += [f"WorkingDirectory={release}/src", f"Environment=PYTHONPATH={release}/src"]
    argv = STOCK[kind].format(bin=f"{release}/venv/bin", socket=socket).split()
    options = [f"--property={each}" for each in properties]
    stood.site.read("systemd-run", "--quiet", "--collect", "--unit=stock", *options, *argv)
    try:
        _await(stood, socket)
        yield socket
    finally:
        stood.site.inside("systemctl", "stop", "stock")


def _await(stood: Standing, socket: str) -> None:
    (_, path) = stood.bare(socket).options
    retry = ["--retry", "30", "--retry-all-errors", "--retry-delay", "1"]
    argv = ["curl", "--silent", "--show-error", "--fail", *retry, "--unix-socket", path, "http://localhost/health"]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nothing answers on {socket}: {done.stderr.strip()[-300:]}")
