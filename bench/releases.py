"""Releases one after another under a steady load: what is lost, what gets slower, and how soon the new code is live.

Beside them, on the same host and under the same load, the ways in which releases are made by hand (see plain).
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench import cells
from bench.plain import GRACE, Plain
from bench.standing import PROBLEMS, Standing, standing
from rehearsal.checks.site import HELLO
from rehearsal.checks.trial import edited, loaded
from rehearsal.engine import Event

OURS = "flask-origin"
SLOW = "slow "


def _stream(name: str, method: str, path: str, every: float, *, keep: bool, body: int = 0) -> dict[str, Any]:
    return {"name": name, "method": method, "path": path, "every": every, "keep": keep, "body": body, "sees": 200}


STREAMS: Sequence[dict[str, Any]] = (
    _stream("GET, kept connection", "GET", "/health", 0.05, keep=True),
    _stream("GET, new connection", "GET", "/health", 0.1, keep=False),
    _stream("page, kept connection", "GET", "/", 0.1, keep=True),
    _stream("POST, kept connection", "POST", "/echo", 0.1, keep=True, body=20_000),
    _stream("POST, new connection", "POST", "/echo", 0.3, keep=False, body=200_000),
    _stream(f"{SLOW}GET, kept connection", "GET", "/slow?seconds=5", 0.0, keep=True),
    _stream(f"{SLOW}GET, new connection", "GET", "/slow?seconds=5", 0.0, keep=False),
    {**_stream("a client that hangs", "POST", "/echo", 0.0, keep=False, body=20_000), "hangs": True},
)
QUIET = 10.0
"""Seconds of the same load without a release, before each window of releases."""
Release = Callable[[], tuple[str, float]]
"""Makes one release; its name, and time.monotonic() when it began."""


def measure(rounds: int, releases: int) -> list[dict[str, Any]]:
    """A row for each proxy and way; of a proxy that could not be measured, why.

    `releases` of ours for each proxy, in `rounds` windows, in turn with the rest, which make a fifth as many.
    """
    rows = []
    for proxy in cells.PROXIES:
        began: list[float] = []

        def listener(event: Event, began: list[float] = began) -> None:
            # The archive's way to the host, where it is new, and the release itself begin with this.
            if event.step and event.kind == "begin" and event.step.name.startswith("site-release-"):
                began.append(time.monotonic())

        try:
            with standing(proxy, listener) as stood:
                rows += _ways(stood, began, rounds, releases)
        except PROBLEMS as error:
            rows.append({"proxy": proxy, "problem": str(error)})
    return rows


def _ways(stood: Standing, began: list[float], rounds: int, releases: int) -> list[dict[str, Any]]:
    servers = dict(cells.servers())
    server = servers.get("gunicorn gthread") or next(iter(servers.values()))
    plain = Plain(stood.site)

    def ours() -> tuple[str, float]:
        with stood.site.copy_of_app() as copy:
            edited(copy, str(HELLO["entrypoint"]), f"# {secrets.token_hex(8)}")
            began.clear()
            stood.up({**HELLO, "source": str(copy), "server": server, "drain": GRACE})
        return stood.site.live(), began[0]

    ways = (OURS, *plain.ways)
    rows = {way: {"proxy": stood.proxy, "server": server["kind"], "way": way, "releases": 0, "requests": 0,
                  "lost": 0, "failures": [], "p99": [], "live": []} for way in ways}  # fmt: skip
    ours()
    for number in range(rounds):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            print(f"  {stood.proxy}, {way}, {number + 1} of {rounds}", file=sys.stderr, flush=True)
            with _serving(stood, plain, way):
                count = max(1, releases // rounds) if way == OURS else max(1, releases // rounds // 5)
                _window(stood, rows[way], ours if way == OURS else lambda way=way: plain.release(way), count)
    return list(rows.values())


@contextlib.contextmanager
def _serving(stood: Standing, plain: Plain, way: str) -> Iterator[None]:
    if way == OURS:
        yield
        return
    socket = stood.socket()
    plain.start(way)
    try:
        yield
    finally:
        plain.stop(socket)


def _window(stood: Standing, row: dict[str, Any], release: Release, count: int) -> None:
    with loaded(stood.site, STREAMS, limit=60 + QUIET) as quiet:
        time.sleep(QUIET)
    made = []
    with loaded(stood.site, STREAMS, limit=60 + 60 * count) as during:
        time.sleep(1)
        for _ in range(count):
            made.append(release())
        time.sleep(1)
    row["releases"] += count
    row["requests"] += during["requests"]
    row["lost"] += during["failed"]
    row["failures"] += during["failures"][:5]
    row["p99"].append((_p99(during), _p99(quiet)))
    seen = [live(during["releases"], name, began) for name, began in made]
    row["live"] += [seconds for seconds in seen if seconds is not None]


def _p99(report: dict[str, Any]) -> float:
    """Of the slowest stream among those that are not slow by intent."""
    return max(seconds for name, seconds in report["p99"].items() if not name.startswith(SLOW))


def live(seen: Mapping[str, Mapping[str, float]], name: str, began: float) -> float | None:
    """Seconds until nothing but the new release answered what was asked; None when nobody saw it."""
    if name not in seen:
        return None
    newer = seen[name]["first"]
    older = [times["last"] for times in seen.values() if times["first"] < newer]
    return max([newer, *older]) - began
