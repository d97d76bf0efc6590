"""The tables about servers, proxies and releases say what was measured, also what was missed or not measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import cells, load, releases, tables, tuning
from settings import App

CELL: dict[str, Any] = {
    "proxy": "nginx",
    "server": "waitress",
    "empty": [(60.0, 100.0)],
    "page": [(90.0, 100.0), (80.0, 100.0), (86.0, 100.0)],
    "busy": [(1.25, 1.0)],
    "alone": [(2.0, 1.6), (2.1, 1.6), (9.0, 1.6)],
    "file": [(2000.0, 100.0)],
    "memory": {"proxy": 10.0, "app": 40.0, "host": 120.0},
}
FAILED = {"proxy": "caddy", "server": "eventlet", "problem": "it does not |\nstart"}
ROW: dict[str, Any] = {
    "proxy": "nginx",
    "server": "waitress",
    "way": "flask-origin",
    "releases": 20,
    "requests": 5000,
    "lost": 0,
    "failures": [],
    "p99": [(0.04, 0.02), (0.09, 0.03)],
    "live": [float(number) for number in range(1, 21)],
}


def test_a_pair_that_meets_an_aim_and_one_that_misses_it() -> None:
    slow = {**CELL, "proxy": "caddy", "page": [(50.0, 100.0)]}
    text = tables.serving({"cells": [CELL, slow]})
    assert "| nginx | waitress | **0.60** (0.60 to 0.60) | **0.86** (0.80 to 0.90) | 0.80 | 0.50 | 20.0 |" in text
    assert "- 0.85 for the page: **missed** by 1 of 2 pairs: caddy with waitress." in text
    assert "- 20 times for files: met by all 2 pairs." in text


def test_a_pair_that_could_not_be_measured_is_told_and_counts_for_nothing() -> None:
    text = tables.serving({"cells": [CELL, FAILED]})
    assert "| caddy | eventlet | not measured: it does not / start |" in text
    assert "met by all 1 pairs" in text
    assert "eventlet" not in tables.serving_chart({"cells": [CELL, FAILED]})


def test_releases_have_their_losses_and_percentiles() -> None:
    other = {**ROW, "way": "systemctl restart", "lost": 30, "live": []}
    text = tables.releases({"rows": [ROW, other]})
    assert "| nginx | flask-origin (waitress) | 20 | 5000 | 0 | 25, 65, 2.5 | 10.5, 19.0 |" in text
    assert "| nginx | systemctl restart | 20 | 5000 | 30 | 25, 65, 2.5 |  (20 never seen) |" in text


def test_a_proxy_whose_releases_could_not_be_measured_is_told_and_counts_for_nothing() -> None:
    rows = {"rows": [ROW, {"proxy": "apache", "problem": "the load generator failed"}]}
    assert "| apache | not measured: the load generator failed |" in tables.releases(rows)
    assert "apache" not in tables.releases_chart(rows)
    assert "**0**" in next(tables.overview({"releases": rows}))


def test_the_overview_counts_our_releases_only() -> None:
    rows = [ROW, {**ROW, "proxy": "caddy", "lost": 2}, {**ROW, "way": "Gunicorn, HUP", "lost": 99}]
    (lost, _) = tables.overview({"releases": {"rows": rows}})
    assert lost == "| Requests lost in 40 releases under load | **2** | | 0 |"


def test_a_server_without_stock_defaults_has_an_empty_place() -> None:
    row = {"server": "mod_wsgi", "page": "page", "best": "processes 1, threads 8", "swept": [(97.0, 100.0)]}
    stock = {**row, "server": "waitress", "stock": [(150.0, 100.0)]}
    text = tables.tuning({"rows": [row, stock]})
    assert "| mod_wsgi | page | **0.97** (0.97 to 0.97) | processes 1, threads 8 |  |" in text
    assert "| waitress | page | **0.97** (0.97 to 0.97) | processes 1, threads 8 | **1.50** (1.50 to 1.50) |" in text
    (_, by_stock) = tables.overview({"tuning": {"rows": [row, stock]}})
    assert by_stock == "| Shipped defaults by stock | **1.50** | 1.50 to 1.50, n = 1 | 1.5 or more |"


def test_live_is_when_the_old_code_has_answered_for_the_last_time() -> None:
    seen = {
        "1": {"answers": 9, "first": 1.0, "last": 12.5},
        "2": {"answers": 9, "first": 12.0, "last": 30.0},
        "3": {"answers": 9, "first": 29.0, "last": 40.0},
    }
    assert releases.live(seen, "2", 10.0) == 2.5
    assert releases.live(seen, "4", 10.0) is None


def test_every_server_has_settings_that_are_valid() -> None:
    found = dict(cells.servers())
    assert set(cells.sections()) == {server["kind"] for server in found.values()}
    for server in found.values():
        App.model_validate({**{"source": "app", "entrypoint": "app:app"}, "server": server})


def test_what_is_swept_is_valid_and_has_stock_defaults_beside_it() -> None:
    for server in dict(cells.servers()).values():
        for options in (swept := list(tuning.sweep(server))):
            App.model_validate({"source": "app", "entrypoint": "app:app", "server": {**server, **options}})
        assert not swept or server["kind"] in {*tuning.STOCK, "mod_wsgi"}


ANSWERED = {
    "ActualQPS": 250.5,
    "RetCodes": {"200": 501},
    "DurationHistogram": {"Percentiles": [{"Percentile": 50, "Value": 0.002}, {"Percentile": 99, "Value": 0.03}]},
}


@pytest.fixture
def says(tmp_path: Path) -> Any:
    """A program that prints a document, whatever it is asked."""

    def made(document: dict[str, Any]) -> Path:
        program = tmp_path / "fortio"
        program.write_text(f"#!{sys.executable}\nprint({json.dumps(document)!r})\n")
        program.chmod(0o755)
        return program

    return made


TARGET = load.Target(place=[], options=[], base="http://localhost")


def test_a_load_is_read_in_milliseconds(says: Any) -> None:
    assert load.put(says(ANSWERED), TARGET, "/", seconds=1) == load.Load(rate=250.5, median=2.0, p99=30.0)


def test_answers_that_are_not_200_are_no_figure(says: Any) -> None:
    with pytest.raises(RuntimeError, match=r"/page was answered with \{'200': 500, '502': 1\}"):
        load.put(says({**ANSWERED, "RetCodes": {"200": 500, "502": 1}}), TARGET, "/page", seconds=1)
