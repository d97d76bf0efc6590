"""Whatever is edited, refused or killed on the way: in the end the cloud is as the program says, and nothing leaks."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rehearsal.engine import Result
from rehearsal.providers.base import ApiError
from tests.rehearsal.engine.mem import Stack

NAMES = "abcd"


@dataclass(frozen=True)
class Wanted:
    """A thing that may need earlier ones: by value, which updates it, or by pin, which replaces it."""

    value: int
    pin: int
    needs: frozenset[str]
    by: str
    delete_first: bool


class Killed(BaseException):
    """As near to kill -9 as it gets within a process: what comes after it is undone by hand."""


things = st.builds(
    Wanted,
    st.integers(0, 1),
    st.integers(0, 1),
    st.frozensets(st.sampled_from(NAMES), max_size=2),
    st.sampled_from(["value", "pin"]),
    st.booleans(),
)
programs = st.fixed_dictionaries({name: st.none() | things for name in NAMES})


class Edits(RuleBasedStateMachine):
    @initialize(things=programs)
    def start(self, things: dict[str, Wanted | None]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edits-"))
        self.killed = False  # and not yet looked into
        self.open()
        self.edit(things)
        self.up()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.up()
            shutil.rmtree(self.folder)

    @rule(things=programs)
    def edit_and_up(self, things: dict[str, Wanted | None]) -> None:
        self.edit(things)
        self.up()

    @rule(things=programs, nth=st.integers(1, 3), back=st.booleans())
    def up_with_a_refusal(self, things: dict[str, Wanted | None], nth: int, back: bool) -> None:
        """The nth call is refused: an update when it is half done, others before. Perhaps the edit is taken back."""
        before, calls = self.wanted, 0
        self.edit(things)

        def refuse(what: str, *, done: bool) -> None:
            nonlocal calls
            calls += done == what.startswith("update")
            if calls == nth and done == what.startswith("update"):
                raise ApiError("not now")

        self.stack.cloud.before = lambda what: refuse(what, done=False)
        self.stack.cloud.after = lambda what: refuse(what, done=True)
        self.looked_into(self.stack.up(self.program()))
        self.open()
        self.wanted = before if back else self.wanted

    @rule(things=programs, nth=st.integers(1, 3), done=st.booleans(), back=st.booleans())
    def up_with_a_kill(self, things: dict[str, Wanted | None], nth: int, done: bool, back: bool) -> None:
        """Killed in the nth call, before or after the cloud did what it was asked. Perhaps the edit is taken back."""
        before, calls, left = self.wanted, 0, ""
        self.edit(things)

        def die(what: str) -> None:
            nonlocal calls, left
            calls += 1
            if not left and calls == nth:
                left = self.stack.state_text()
            if left:
                raise Killed

        if done:
            self.stack.cloud.after = die
        else:
            self.stack.cloud.before = die
        self.looked_into(self.stack.up(self.program()))
        if left:
            (self.stack.home / "state.json").write_text(left)
            self.killed = True
        self.open()
        self.wanted = before if back else self.wanted

    def up(self) -> None:
        preview = self.stack.preview(self.program())
        result = self.stack.up(self.program())
        assert preview.errors == result.errors == ()
        names = self.stack.cloud.names()
        assert sorted(names) == sorted(self.wanted)
        assert len(self.stack.cloud.things) == len(self.wanted)
        for name, wanted in self.wanted.items():
            expected: dict[str, object] = {"value": wanted.value, "pin": wanted.pin}
            if needs := self.needs(name):
                expected[wanted.by] = [names[need]["serial"] for need in needs]
            assert {key: names[name][key] for key in expected} == expected
        if not self.killed:
            # What a preview can't know it takes for changed: it may foresee an update too many, or a replacement
            # where an update is enough, but nothing that it did not foresee may be made or deleted.
            foreseen = {(step.op, step.urn, step.replaced) for step in preview.steps}
            assert {(s.op, s.urn, s.replaced) for s in result.steps if s.op not in ("same", "update")} <= foreseen
        self.looked_into(result)
        assert self.stack.up().counts.keys() == {"same"}

    @rule()
    def destroy(self) -> None:
        assert self.stack.engine.destroy().errors == ()
        assert self.stack.cloud.things == {}
        self.killed = False

    @invariant()
    def nothing_is_unknown_to_the_state(self) -> None:
        if hasattr(self, "stack") and (self.stack.home / "state.json").exists() and not self.killed:
            known = [record["id"] for record in self.stack.engine.state() if record["custom"]]
            assert sorted(self.stack.cloud.things) == sorted(known)

    def open(self) -> None:
        """As a new process would."""
        self.stack = Stack(self.folder)
        self.stack.cloud.before = self.check_order

    def edit(self, things: dict[str, Wanted | None]) -> None:
        self.wanted = {name: thing for name, thing in things.items() if thing}

    def looked_into(self, result: Result) -> None:
        self.killed = self.killed and not result.ok

    def check_order(self, what: str) -> None:
        """Nothing is deleted on which something hangs that would have to be replaced with it."""
        call, _, name = what.partition(" ")
        if call == "delete":
            of_name = {thing["serial"] for id, thing in self.stack.cloud.things.items() if id.startswith(f"{name}-")}
            pins = [thing["pin"] for thing in self.stack.cloud.things.values() if isinstance(thing["pin"], list)]
            hanging = {serial for pin in pins for serial in pin}
            # While a replaced one and its successor both exist, one of them may be in use.
            assert len(of_name) > 1 or not of_name & hanging

    def needs(self, name: str) -> list[str]:
        return sorted(need for need in self.wanted[name].needs if need < name and need in self.wanted)

    def program(self) -> str:
        lines = []
        for name, wanted in sorted(self.wanted.items()):
            inputs: dict[str, object] = {"value": wanted.value, "pin": wanted.pin}
            if needs := self.needs(name):
                inputs[wanted.by] = f"[{', '.join(f'{need}.serial' for need in needs)}]"
            arguments = ", ".join(f"{key}={value}" for key, value in inputs.items())
            lines.append(f'{name} = Thing("{name}", Opts(delete_before_replace={wanted.delete_first}), {arguments})')
        return "\n".join(lines)


TestEdits = Edits.TestCase
TestEdits.settings = settings(
    max_examples=30,
    stateful_step_count=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
