"""The whole chain (TLS with the zone's client certificate, proxy, unix socket, server, app) against the server alone.

On one machine, the same process answering both, loaded in turn.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from bench import cells
from bench.measure import in_turn
from bench.standing import APP, PROBLEMS, Carried, Standing, standing
from rehearsal.checks.site import HELLO

PAGES = {"empty": "/empty", "page": "/page"}
FILE = ("/static/site.css", "/by-app/site.css")
"""The same file, as the proxy serves it and as the app does."""


def measure(loads: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each proxy and server; of one that could not be measured, why."""
    rows = []
    for proxy in cells.PROXIES:
        with standing(proxy) as stood:
            for name, server in cells.servers():
                print(f"  {proxy}, {name}", file=sys.stderr, flush=True)
                try:
                    rows.append({"proxy": proxy, "server": name, **_cell(stood, server, loads, seconds)})
                except PROBLEMS as error:
                    rows.append({"proxy": proxy, "server": name, "problem": str(error)})
    return rows


def _cell(stood: Standing, server: dict[str, Any], loads: int, seconds: float) -> dict[str, Any]:
    """Pairs (chain, bare): answers a second by page, busy and alone in ms of the page; pairs of the file; MB."""
    stood.up({**HELLO, "server": server})
    stood.put(stood.chain(), "/", seconds=4 * seconds)
    units = stood.memory()
    stood.up({**APP, "server": server})
    ours, theirs = stood.chain(), stood.bare(stood.socket())
    # Gunicorn's sync workers close after each answer, and wait for whoever is connected and says nothing.
    keeps = server.get("worker_class") != "sync"
    for path in PAGES.values():
        stood.put(theirs, path, seconds=0.5, keep=keeps)  # templates compiled, caches filled

    def pairs(path: str, **options: Any) -> list[tuple[Carried, Carried]]:
        load = partial(stood.put, path=path, seconds=seconds, **options)
        return in_turn(loads, partial(load, ours), partial(load, theirs, keep=keeps))

    empty, page, alone = pairs(PAGES["empty"]), pairs(PAGES["page"]), pairs(PAGES["page"], connections=1)
    file = in_turn(loads, *(partial(stood.put, ours, path, seconds=seconds) for path in FILE))
    of_app = sum(size for unit, size in units.items() if unit.startswith("app@"))
    return {
        "empty": [(chain.rate, bare.rate) for chain, bare in empty],
        "page": [(chain.rate, bare.rate) for chain, bare in page],
        "busy": [(chain.busy, bare.busy) for chain, bare in page],
        "alone": [(chain.median, bare.median) for chain, bare in alone],
        "file": [(proxy.rate, app.rate) for proxy, app in file],
        "memory": {"proxy": units[stood.unit], "app": of_app, "host": sum(units.values())},
    }
