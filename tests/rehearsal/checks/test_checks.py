"""Every line of every check, in full, on the example stack."""

from __future__ import annotations

import pytest

from rehearsal import checks
from rehearsal.checks.line import lines_of
from rehearsal.rehearsal import Rehearsal

pytestmark = pytest.mark.machines

TITLES = [(number, line.title) for number, module in checks.CHECKS.items() for line in lines_of(module)]


@pytest.fixture(scope="module")
def outcomes(stack: Rehearsal) -> dict[tuple[int, str], checks.Outcome]:
    return {(outcome.number, outcome.title): outcome for outcome in checks.run(stack, depth="full")}


@pytest.mark.parametrize(("number", "title"), TITLES)
def test_line(outcomes: dict[tuple[int, str], checks.Outcome], number: int, title: str) -> None:
    outcome = outcomes[number, title]
    assert outcome.status == "passed", outcome.detail
    assert outcome.detail


def test_the_release_that_was_live_is_live_again(
    outcomes: dict[tuple[int, str], checks.Outcome], stack: Rehearsal
) -> None:
    assert outcomes
    result = stack.preview()
    assert result.ok
    assert set(result.counts) <= {"same", "read"}
