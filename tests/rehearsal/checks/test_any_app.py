"""The checks hold for an app that says nothing of what reaches it, has no such pages, and redirects at its root."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import checks
from rehearsal.rehearsal import PROJECT, Rehearsal

pytestmark = pytest.mark.machines

APP = """\
from flask import Flask, redirect


def create_app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: redirect("/login"), endpoint="root")
    app.add_url_rule("/up", view_func=lambda: "fine", endpoint="up")
    return app
"""


@pytest.fixture
def other(stack: Rehearsal, tmp_path: Path) -> Iterator[Rehearsal]:
    """The same stack with that app."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").write_text(APP)
    shutil.copy(PROJECT / "examples/hello/requirements.txt", tmp_path)
    app = {"source": str(tmp_path), "entrypoint": "shop:create_app()", "health": {"path": "/up"}}
    config = {**stack.stack.config, "flask-origin:app": json.dumps(app)}
    rehearsal = Rehearsal(dataclasses.replace(stack.stack, config=config), print, lambda event: None)
    result = rehearsal.up()
    assert result.ok, result.errors
    yield rehearsal
    assert stack.up().ok


def test_any_app(other: Rehearsal, tmp_path: Path) -> None:
    outcomes = checks.run(other, only=[1, 4, 8])
    assert [f"{o.title}: {o.detail}" for o in outcomes if o.status != "passed"] == []
    assert {outcome.number for outcome in outcomes} == {1, 4, 8}
    assert (tmp_path / "shop/__init__.py").read_text() == APP
    assert set(other.preview().counts) <= {"same", "read"}
    assert b"fine" in checks.Site(other).fetch("/up").body
