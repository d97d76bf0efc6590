"""Writes docs/benchmarks.md and bench/*.svg from bench/results.json: `python -m bench.report`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import tables
from bench.chart import Bar, bars
from bench.measure import Comparison

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench/results.json"
Results = Mapping[str, Any]

INTRODUCTION = """\
# Benchmarks

<!-- Generated from bench/results.json by `python -m bench.report`. -->

Each figure is a ratio, ours by theirs, so less is better, unless its aim says "or more". Both sides run in turn, the
first to go changing from round to round, so that what slows one down slows the other as well; the ratio is the median
of the rounds' ratios, with the lowest and the highest beside it. Seconds are medians and hold for one machine on one
day; the ratios travel better. No test fails by a time.

```sh
make bench                                                     # all of it, two hours, as root on Linux
.venv/bin/python -m bench.run --only imports preview --rounds 5  # a part of it
.venv/bin/python -m bench.run --only serving --quick             # a first look at a part, kept out of this page
```
"""

FIRST_PAGE = """\
## Machine start to the first page

From switching the machine on to the first 200 that a visitor gets through the edge. Both machines boot the same image
and get their packages from the same mirror, which has them all. The naive script is what people write first
([bench/naive.py](../bench/naive.py)): `apt-get upgrade`, Debian's own `caddy` and `python3-pip` with all that they
recommend, a virtual environment, `tls internal`, SSL mode "full". It does less: no firewall, no client certificate,
no sandbox, a certificate that nobody checks. Its image is as old as ours, so its upgrade has little to do; on a
cloud's image of last month it has more.
"""

PHASES = """\
### Where the time of `./rehearse up` goes

From nothing, with the image and the packages in the cache. What runs beside something longer is not counted.
"""

INSTALLS = """\
## Installing requirements

On the host, by the release tool's own step (a sandboxed unit: `uv venv`, `uv pip install`, bytecode compiled) and by
`python3 -m venv` and `pip install` as root. Cold: no cache but the mirror's. Warm: each side's own cache, no
environment.
"""

IMPORTS = """\
## Importing the provider SDKs

Whole processes, bytecode cached: `import components.sdk` (the classes that the program uses, each module loaded
without its package's `__init__`, the garbage collector kept out) against `import pulumi_cloudflare,
pulumi_digitalocean, pulumi_aws` with the three parts of the last that the program uses. Why so and no further:
[decision 10](adr/0010-provider-modules-loaded-alone.md).
"""

PREVIEW = """\
## A preview of one host

Through the embedded engine, in a process of its own, of the stack that `make rehearse` runs, nothing existing.
"""

GROWTH = """\
### More resources

`up` from nothing, and a preview of what then exists, of random passwords, whose provider costs nothing: what is left
is the SDK's registration, the engine, and its state file, which is written whole before and after each step.
"""


def page(results: Results) -> str:
    """docs/benchmarks.md."""
    return "\n".join(
        [INTRODUCTION, _overview(results), *(section(name, results) for name in SECTIONS if name in results)]
    )


def section(name: str, results: Results) -> str:
    """What the page says about one part."""
    part, (text, show) = results[name], SECTIONS[name]
    measured = f"Measured on {part['when']}, {part['machine']}, load {part['load']} before.\n"
    return f"{text}\n{show(part)}\n{measured}"


def pictures(results: Results) -> dict[Path, str]:
    """The SVG files that the page shows."""
    found = {}
    if "first-page" in results:
        part = results["first-page"]
        rows = [Bar(label=row["phase"], value=row["seconds"], note=_s(row["seconds"])) for row in part["phases"]]
        found["phases"] = bars("Where the time of an up goes, seconds", [rows])
        found["first-page"] = bars(
            "Machine start to the first page, seconds", [_two_bars(c) for c in _comparisons(part)]
        )
    if "installs" in results:
        groups = [_two_bars(c, titled=True) for c in _comparisons(results["installs"])]
        found["installs"] = bars("Installing an app's requirements, seconds", groups)
    for name, draw in (("serving", tables.serving_chart), ("releases", tables.releases_chart)):
        if name in results:
            found[name] = draw(results[name])
    return {ROOT / f"bench/{name}.svg": text for name, text in found.items()}


def _two_bars(c: Comparison, *, titled: bool = False) -> list[Bar]:
    prefix = f"{c.title}: " if titled else ""
    ours, theirs = c.median(0), c.median(1)
    return [
        Bar(label=f"{prefix}{c.ours}", value=ours, note=_s(ours)),
        Bar(label=c.theirs, value=theirs, note=_s(theirs), ours=False),
    ]


def terminal(results: Results) -> str:
    """The ratios, a line each."""
    every = [c for part in results.values() for c in _comparisons(part)]
    width = max((len(c.title) for c in every), default=0)
    return "\n".join(f"{c.title.ljust(width)}  {_ratio(c)}{f'  (aim {c.aim})' if c.aim else ''}" for c in every)


def _overview(results: Results) -> str:
    lines = ["| what | ours by theirs | lowest to highest | aim |", "|---|---|---|---|"]
    for part in results.values():
        for c in _comparisons(part):
            spread = f"{min(c.ratios):.2f} to {max(c.ratios):.2f}, n = {len(c.pairs)}"
            lines.append(f"| {c.title} | **{c.ratio:.2f}** | {spread} | {c.aim or ''} |")
    lines += tables.overview(results)
    if "preview" in results:
        lines.append(f"| A preview's time that is imports | **{_import_share(results['preview']):.2f}** | | |")
    return "\n".join(lines) + "\n"


def _first_page(part: Results) -> str:
    lines = ["| phase | s | lowest to highest |", "|---|---|---|"]
    lines += [
        f"| {row['phase']} | {row['seconds']:.1f} | {row['lowest']:.1f} to {row['highest']:.1f} |"
        for row in part["phases"]
    ]
    lines.append(f"| **all** | **{sum(row['seconds'] for row in part['phases']):.1f}** | |")
    pictures = "![Machine start to the first page](../bench/first-page.svg)"
    phases = "![Phases of an up](../bench/phases.svg)"
    return f"{_pairs(part)}\n{pictures}\n\n{PHASES}\n" + "\n".join(lines) + f"\n\n{phases}\n"


def _pairs(part: Results) -> str:
    lines = ["| | ours | theirs | ratio |", "|---|---|---|---|"]
    for c in _comparisons(part):
        ours, theirs = (f"{_number(c.median(side))} {c.unit}, {name}" for side, name in ((0, c.ours), (1, c.theirs)))
        lines.append(f"| {c.title} | {ours} | {theirs} | {_ratio(c)} |")
    return "\n".join(lines) + "\n"


def _preview(part: Results) -> str:
    names = {
        "interpreter": "the interpreter's start",
        "sdks": "imports: Pulumi and the provider SDKs",
        "engine": "imports: engine and stand-in providers",
        "program's modules": "imports: the program's own modules",
        "program": "the program, planned",
    }
    lines = ["| part | s |", "|---|---|"]
    lines += [f"| {names[name]} | {seconds:.2f} |" for name, seconds in part["parts"].items()]
    lines.append(f"| **all** | **{sum(part['parts'].values()):.2f}** |")
    return "\n".join(lines) + f"\n\nImports take {_import_share(part):.0%} of it.\n"


def _growth(part: Results) -> str:
    lines = ["| resources | up, s | ms for each | preview, s | ms for each | state, MB |", "|---|---|---|---|---|---|"]
    for row in part["growth"]:
        count = row["resources"]
        each = [f"{row[name]:.1f} | {1000 * row[name] / count:.0f}" for name in ("up", "preview")]
        lines.append(f"| {count} | {' | '.join(each)} | {row['state']:.2f} |")
    return "\n".join(lines) + "\n"


def _import_share(part: Results) -> float:
    imports = [seconds for name, seconds in part["parts"].items() if name not in ("interpreter", "program")]
    return sum(imports) / sum(part["parts"].values())


def _comparisons(part: Results) -> list[Comparison]:
    return [Comparison(**comparison) for comparison in part.get("comparisons", [])]


def _ratio(c: Comparison) -> str:
    return f"{c.ratio:.2f} ({min(c.ratios):.2f} to {max(c.ratios):.2f}, n = {len(c.pairs)})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def _s(value: float) -> str:
    return f"{_number(value)} s"


SECTIONS: Mapping[str, tuple[str, Callable[[Results], str]]] = {
    "first-page": (FIRST_PAGE, _first_page),
    "installs": (INSTALLS, lambda part: _pairs(part) + "\n![Installing requirements](../bench/installs.svg)\n"),
    "serving": (tables.SERVING, tables.serving),
    "tuning": (tables.TUNING, tables.tuning),
    "releases": (tables.RELEASES, tables.releases),
    "imports": (IMPORTS, _pairs),
    "preview": (PREVIEW, _preview),
    "growth": (GROWTH, _growth),
}
"""The page's parts in their order: text, and what shows the figures."""


def outputs() -> Iterator[tuple[Path, str]]:
    """The generated files and what they should say."""
    results = json.loads(RESULTS.read_text())
    yield ROOT / "docs/benchmarks.md", page(results)
    yield from pictures(results).items()


def main() -> int:
    for path, text in outputs():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
