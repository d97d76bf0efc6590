"""Proof of what a stack promises, from every place to stand: nine numbered checks of several lines each.

They hold for any app on any stack and leave it as they found it: whatever they change they put back. The user's own
folder is never touched; edits are made in copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from rehearsal.checks import (
    canaries,
    destruction,
    firewalls,
    https,
    recovery,
    redirects,
    releases,
    remote_login,
    visitor,
)
from rehearsal.checks.line import Depth, Line, Outcome, Status, lines_of, plain
from rehearsal.checks.site import Site
from rehearsal.rehearsal import Rehearsal

__all__ = ["CHECKS", "Depth", "Outcome", "Status", "run"]

CHECKS: dict[int, ModuleType] = {
    1: https,
    2: redirects,
    3: firewalls,
    4: visitor,
    5: remote_login,
    6: canaries,
    7: recovery,
    8: releases,
    9: destruction,
}
# Those that change the site, one after another: first what the trial release serves, last what reboots the machine.
_ALONE = (8, 6, 4, 3, 7, 9, 1, 2, 5)
_SIDE_BY_SIDE = 4


def run(
    rehearsal: Rehearsal,
    *,
    depth: Depth = "quick",
    only: Sequence[int] | None = None,
    listener: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run the lines of the checks in `only` (all by default) and return their outcomes in the table's order.

    The listener hears of each outcome as it comes, in whatever order. Raises ValueError for a check that is not there.
    """
    wanted = sorted(set(only or CHECKS))
    if unknown := [number for number in wanted if number not in CHECKS]:
        raise ValueError(f"there is no check {unknown[0]}; there are {', '.join(map(str, CHECKS))}")
    table = [(number, line) for number in wanted for line in lines_of(CHECKS[number])]
    outcomes: dict[Line, Outcome] = {}

    def note(line: Line, outcome: Outcome) -> None:
        outcomes[line] = outcome
        listener(outcome)

    for number, line in table:
        if line.depth == "full" and depth != "full":
            outcomes[line] = line.not_run(number, rehearsal.stack.stack)
    due = [(number, line) for number, line in table if line not in outcomes]
    site = Site(rehearsal)
    whoami = [entry for entry in due if entry[1].stage == "whoami"]
    together = [entry for entry in due if entry[1].stage == "together"]
    if whoami and site.says_who():
        together, whoami = together + whoami, []
    together.sort(key=lambda entry: entry[0] != 3)  # scans of every port take the longest
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for _ in pool.map(lambda entry: note(entry[1], entry[1].run(entry[0], site)), together):
            pass
    try:
        # Sorting is stable: within a check the order stays as written.
        for number, line in sorted(due, key=lambda entry: _ALONE.index(entry[0])):
            if line.stage == "alone":
                note(line, line.run(number, site))
        if whoami:
            try:
                with site.hello():
                    for number, line in whoami:
                        note(line, line.run(number, site))
            except Exception as error:
                for number, line in whoami:
                    if line not in outcomes:
                        note(line, line.failed(number, plain(error)))
    finally:
        site.put_back()
    return [outcomes[line] for _, line in table]
