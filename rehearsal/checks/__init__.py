"""Proof of what a stack promises, from every place to stand: nine numbered checks of several lines each.

They hold for any app on any stack and leave it as they found it: whatever they change they put back. The user's own
folder is never touched; edits are made in copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
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
# Scans of every port take long and only wait: they go on beside these.
_RELEASES_ONLY = (8, 6)
_SIDE_BY_SIDE = 4
_Entry = tuple[int, Line]


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
    try:
        site = Site(rehearsal)
        says_who = site.says_who()
    except Exception as error:
        for number, line in due:
            note(line, line.failed(number, f"the stack is not up as it should be: {plain(error)}"))
        return [outcomes[line] for _, line in table]
    after = _in_order(site, due, note, says_who)
    return [*(outcomes[line] for _, line in table), *after]


def _in_order(site: Site, due: list[_Entry], note: Callable[[Line, Outcome], None], says_who: bool) -> list[Outcome]:
    """Run what is due, side by side where that can be; gives an outcome more if the site could not be put back."""

    def prove(entry: _Entry) -> None:
        number, line = entry
        note(line, line.run(number, site))

    def staged(*stages: str) -> list[_Entry]:
        return [entry for entry in due if entry[1].stage in stages]

    # Sorting is stable: within a check the order stays as written.
    alone = sorted(staged("alone"), key=lambda entry: _ALONE.index(entry[0]))
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        scans = [pool.submit(prove, entry) for entry in staged("scan")]
        wait([pool.submit(prove, entry) for entry in staged("together", *(["whoami"] if says_who else []))])
        try:
            for entry in alone:
                if entry[0] not in _RELEASES_ONLY:
                    wait(scans)
                prove(entry)
            if not says_who and (whoami := staged("whoami")):
                _with_hello(site, whoami, note)
        finally:
            after = _put_back(site)
    return after


def _with_hello(site: Site, whoami: list[_Entry], note: Callable[[Line, Outcome], None]) -> None:
    """Run the lines with an app that says what reaches it, in the place of the user's own."""
    left = list(whoami)
    try:
        with site.hello():
            while left:
                number, line = left[0]
                note(line, line.run(number, site))
                left.pop(0)
    except Exception as error:
        for number, line in left:
            note(line, line.failed(number, plain(error)))


def _put_back(site: Site) -> list[Outcome]:
    try:
        site.put_back()
    except Exception as error:
        title = "The app's own release is put back"
        return [Outcome(number=8, title=title, status="failed", detail=plain(error), seconds=0.0)]
    return []
