"""The quick checks on a stack that the official engine brought up, on both clouds."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import stackfile
from rehearsal.rehearsal import PROJECT, Rehearsal
from tests.rehearsal.checks.table import passes
from tests.rehearsal.needs import needs_pulumi

pytestmark = [pytest.mark.machines, needs_pulumi]


@pytest.mark.parametrize("name", ["dev", "aws"])
def test_the_whole_table(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSAL_HOME", str(tmp_path))
    stack = Rehearsal(stackfile.load(stackfile.find(PROJECT, name)), print, lambda event: None, "pulumi")
    try:
        passes(stack)
    finally:
        stack.remove()
