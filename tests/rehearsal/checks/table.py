"""The check table as a test."""

from __future__ import annotations

from rehearsal import checks
from rehearsal.rehearsal import Rehearsal


def passes(stack: Rehearsal) -> None:
    """Bring the stack up and hold it to the quick lines of the table."""
    stack.prepare()
    result = stack.up()
    assert result.ok, result.errors
    outcomes = checks.run(stack)
    failed = [
        f"{outcome.number} {outcome.title}: {outcome.detail}" for outcome in outcomes if outcome.status == "failed"
    ]
    assert not failed, "\n".join(failed)
    assert sum(outcome.status == "passed" for outcome in outcomes) > 30
