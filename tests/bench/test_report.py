"""The page about benchmarks and its pictures say what the measured figures say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import phases, report
from bench.chart import Bar, bars
from bench.measure import Comparison, in_turn


@pytest.mark.parametrize(
    "path, text", list(report.outputs()), ids=lambda value: value.name if isinstance(value, Path) else ""
)
def test_what_is_generated_is_current(path: Path, text: str) -> None:
    assert path.read_text() == text, "run `python -m bench.report`"


def test_the_ratio_is_the_median_of_the_pairs_ratios() -> None:
    pairs = [(1.0, 10.0), (2.0, 10.0), (9.0, 10.0)]
    compared = Comparison(id="a", title="A", unit="s", ours="x", theirs="y", pairs=pairs)
    assert (compared.ratio, compared.median(0), compared.median(1)) == (0.2, 2.0, 10.0)


def test_sides_take_turns_at_going_first() -> None:
    went: list[str] = []

    def side(name: str) -> str:
        went.append(name)
        return name

    assert in_turn(3, lambda: side("a"), lambda: side("b")) == [("a", "b")] * 3
    assert went == ["a", "b", "b", "a", "a", "b"]


def test_phases_follow_one_another_and_none_is_counted_twice() -> None:
    def step(name: str, begin: float, end: float, type: str = "command:remote:Command") -> dict[str, object]:
        return {"name": name, "type": type, "begin": begin, "end": end}

    run = {
        "marks": {"imported": 1.0, "prepared": 2.0, "apt begins": 6.0, "uv begins": 20.0, "first page": 31.0},
        "steps": [
            step("secret-key", 3.0, 3.1),
            step("site-host", 3.5, 29.0, "flask-origin:droplet_host:DropletHost"),
            step("site-host", 3.5, 4.0, "digitalocean:index/droplet:Droplet"),
            step("site-bootstrap-ready", 4.0, 25.0),
            step("site-release-live", 26.0, 30.0),
        ],
    }
    rows = {row["phase"]: row["seconds"] for row in phases.table([run])}
    assert sum(rows.values()) == 31.0
    assert rows["keys, firewall, machine switched on"] == 1.0
    assert rows["apt: packages; pip starts"] == 14.0


def test_a_chart_is_well_formed_whatever_its_labels() -> None:
    drawn = ElementTree.fromstring(bars("a < b & c", [[Bar(label="<&>", value=2, note="2 s")], []]))
    assert drawn.tag.endswith("svg")
