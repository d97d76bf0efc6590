"""The parts of docs/benchmarks.md about servers, proxies and releases."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.chart import Bar, bars

Part = Mapping[str, Any]
Pairs = Sequence[Sequence[float]]

SERVING = """\
## Servers and proxies

The whole chain (TLS with the zone's client certificate as Cloudflare shows it, proxy, unix socket, server, app; the
headers, limits and access logs that are shipped) against the same process of the server asked directly on its socket.
The machine, with all that runs on it, has one processor to itself, as the default droplet has, and what asks has
another; 16 connections, kept, each asking again once it is answered. The client is [fortio](https://fortio.org) on both
sides: ab and wrk can't open a unix socket, wrk and h2load can't show a client certificate.

- *empty*, *page*: answers a second, chain by bare; the page is a template of 1 ms ([bench/app](../bench/app)).
  Aim for the page: 0.85 at least.
- *by processor time*: the same page, from how long the machine's processor was busy for each answer, which other work
  on the computer disturbs less.
- *added*: milliseconds between the medians of one page at a time. Aim: 0.5 at most.
- *file*: a static file from the proxy by the same one from the app, both through the chain. Aim: 20 at least.
- *memory*: resident MB of the proxy, of the server with examples/hello, and of every process of the host together,
  after load; pages of files count once for each process, so it is at most that. Aim: fits a droplet of 512 MB.
"""
TUNING = """\
## What is shipped, against a sweep and against stock defaults

Each server alone on its unix socket, on one processor, a new connection for each request as the proxies make them.
Two pages: one that works for 1 ms, and one that waits 10 ms for an answer from elsewhere first. The sweep tries
each number of workers and threads of [bench/tuning.py](../bench/tuning.py) once; its best is then measured again, in
turn with what is shipped, lest the luckiest look like the best. Stock: as the server's own documentation starts it.
Aims: 0.95 of the best and, for the page that waits, 1.5 of stock at least: on one processor no number of workers makes
work itself any faster, and stock servers write no access log with the visitor's address.
"""
RELEASES = """\
## Releases under load

One release after another of examples/hello, while visitors ask through the edge without a pause: GET and POST, on kept
and on new connections, bodies of 20 and of 200 KB, requests that take 5 s, and a client that sends half a body and then
hangs. Ours is `up` with one line of the app changed. The others are what people do on their own hosts, here on the same
host, behind the same proxy and under the same load: Gunicorn in a unit of its own
([bench/plain.service](../bench/plain.service)), the code written over the old, then `systemctl restart`, HUP, or USR2
and TERM. Every way gives requests under way 8 s.

- *lost*: requests without the right answer. Aim: none.
- *p99*: of the slowest kind of request but those of 5 s, milliseconds; without releases, then with one after another,
  and the ratio. Aim: 2 at most.
- *live*: seconds from the start of the change (ours: of its release's steps in `up`) until nothing that is asked from
  then on is answered by the old code; median and p95. Aim for the p95: 3 at most.
"""


def serving(part: Part) -> str:
    lines = [
        "| proxy | server | empty | page | by processor time | added, ms | file | memory: proxy, app, host |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in part["cells"]:
        if "problem" in cell:
            lines.append(f"| {cell['proxy']} | {cell['server']} | {_problem(cell)} | | | | | |")
            continue
        memory = ", ".join(f"{cell['memory'][what]:.0f}" for what in ("proxy", "app", "host"))
        figures = [_spread(cell["empty"]), _spread(cell["page"]), f"{1 / _ratio(cell['busy']):.2f}"]
        figures += [f"{_added(cell):.2f}", f"{_ratio(cell['file']):.1f}", memory]
        lines.append(f"| {cell['proxy']} | {cell['server']} | {' | '.join(figures)} |")
    verdicts = [
        _verdict("0.85 for the page", part, lambda cell: _ratio(cell["page"]) >= 0.85),
        _verdict("0.85 by processor time", part, lambda cell: 1 / _ratio(cell["busy"]) >= 0.85),
        _verdict("0.5 ms added", part, lambda cell: _added(cell) <= 0.5),
        _verdict("20 times for files", part, lambda cell: _ratio(cell["file"]) >= 20),
        _verdict("512 MB for all of the host", part, lambda cell: cell["memory"]["host"] <= 512),
    ]
    return "\n".join([*lines, "", *verdicts, "", "![Servers and proxies](../bench/serving.svg)\n"])


def serving_chart(part: Part) -> str:
    groups: dict[str, list[Bar]] = {}
    for cell in _measured(part["cells"]):
        page, empty = _ratio(cell["page"]), _ratio(cell["empty"])
        group = groups.setdefault(cell["proxy"], [])
        label = f"{cell['proxy']}, {cell['server']}"
        group += [
            Bar(label=label, value=page, note=f"{page:.2f}"),
            Bar(label="empty app", value=empty, note=f"{empty:.2f}", ours=False),
        ]
    return bars("A page of 1 ms: answers a second, whole chain by bare server", list(groups.values()))


def tuning(part: Part) -> str:
    lines = ["| server | page | shipped by the best | the best | shipped by stock |", "|---|---|---|---|---|"]
    for row in part["rows"]:
        if "problem" in row:
            lines.append(f"| {row['server']} | {_problem(row)} | | | |")
        else:
            stock = _spread(row["stock"]) if "stock" in row else ""
            figures = f"{_spread(row['swept'])} | {row['best']} | {stock}"
            lines.append(f"| {row['server']} | {row['page']} | {figures} |")
    return "\n".join(lines) + "\n"


def releases(part: Part) -> str:
    lines = [
        "| proxy | way | releases | requests | lost | p99 without, with, ratio | live, median and p95 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in part["rows"]:
        if "problem" in row:
            lines.append(f"| {row['proxy']} | {_problem(row)} | | | | | |")
            continue
        during, quiet = (1000 * statistics.median(pair[side] for pair in row["p99"]) for side in (0, 1))
        live = f"{statistics.median(row['live']):.1f}, {_p95(row['live']):.1f}" if row["live"] else ""
        if unseen := row["releases"] - len(row["live"]):
            live += f" ({unseen} never seen)"
        way = f"{row['way']} ({row['server']})" if row["way"] == "flask-origin" else row["way"]
        lines.append(
            f"| {row['proxy']} | {way} | {row['releases']} | {row['requests']} | {row['lost']} |"
            f" {quiet:.0f}, {during:.0f}, {_ratio(row['p99']):.1f} | {live} |"
        )
    return "\n".join([*lines, "", "![Releases under load](../bench/releases.svg)\n"])


def releases_chart(part: Part) -> str:
    groups: dict[str, list[Bar]] = {}
    for row in _measured(part["rows"]):
        lost = row["lost"] / row["releases"]
        bar = Bar(
            label=f"{row['proxy']}, {row['way']}", value=lost, note=f"{lost:.1f}", ours=row["way"] == "flask-origin"
        )
        groups.setdefault(row["proxy"], []).append(bar)
    return bars("Requests lost in one release", list(groups.values()))


def overview(results: Mapping[str, Any]) -> Iterator[str]:
    """Lines of the page's first table: what, figure, lowest to highest, aim."""
    if "serving" in results and (cells := _measured(results["serving"]["cells"])):
        for title, figure, aim in (
            (
                "Answers a second of a page, whole chain by bare server",
                lambda cell: _ratio(cell["page"]),
                "0.85 or more",
            ),
            ("A static file from the proxy by one from the app", lambda cell: _ratio(cell["file"]), "20 or more"),
        ):
            found = [figure(cell) for cell in cells]
            spread = f"{min(found):.2f} to {max(found):.2f}, n = {len(found)} pairs"
            yield f"| {title} | **{statistics.median(found):.2f}** | {spread} | {aim} |"
    if "tuning" in results and (rows := _measured(results["tuning"]["rows"])):
        for other, title, aim in (("swept", "the best of a sweep", "0.95 or more"), ("stock", "stock", "1.5 or more")):
            found = [_ratio(row[other]) for row in rows if other in row]
            spread = f"{min(found):.2f} to {max(found):.2f}, n = {len(found)}"
            yield f"| Shipped defaults by {title} | **{statistics.median(found):.2f}** | {spread} | {aim} |"
    of_releases = _measured(results["releases"]["rows"]) if "releases" in results else []
    if ours := [row for row in of_releases if row["way"] == "flask-origin"]:
        made, lost = (sum(row[what] for row in ours) for what in ("releases", "lost"))
        ratios = [pair[0] / pair[1] for row in ours for pair in row["p99"]]
        yield f"| Requests lost in {made} releases under load | **{lost}** | | 0 |"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)}"
        yield f"| p99 with releases by p99 without | **{statistics.median(ratios):.2f}** | {spread} | 2 or less |"


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if "problem" not in row]


def _verdict(aim: str, part: Part, met: Callable[[Mapping[str, Any]], bool]) -> str:
    cells = _measured(part["cells"])
    missed = [f"{cell['proxy']} with {cell['server']}" for cell in cells if not met(cell)]
    if not missed:
        return f"- {aim}: met by all {len(cells)} pairs."
    return f"- {aim}: **missed** by {len(missed)} of {len(cells)} pairs: {', '.join(missed)}."


def _problem(row: Mapping[str, Any]) -> str:
    text = " ".join(row["problem"].split())
    return f"not measured: {text[:200].replace('|', '/')}"


def _ratio(pairs: Pairs) -> float:
    return statistics.median(ours / theirs for ours, theirs in pairs)


def _spread(pairs: Pairs) -> str:
    ratios = [ours / theirs for ours, theirs in pairs]
    return f"**{_ratio(pairs):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"


def _added(cell: Mapping[str, Any]) -> float:
    return statistics.median(ours - theirs for ours, theirs in cell["alone"])


def _p95(seconds: Sequence[float]) -> float:
    return sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]
