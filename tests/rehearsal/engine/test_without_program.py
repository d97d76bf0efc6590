"""Destroy and refresh, which work from the state alone."""

from __future__ import annotations

from rehearsal.engine.steps import Change
from tests.rehearsal.engine.mem import Stack, good, ops

PROGRAM = """
g = Group("g")
a = Thing("a", Opts(parent=g), value=1)
b = Thing("b", Opts(depends_on=[a]), value="x")
pulumi.export("x", a.value)
"""


def test_destroy_deletes_everything_last_ones_first(stack: Stack) -> None:
    good(stack.up(PROGRAM))
    result = stack.engine.destroy()
    assert good(result) == ["delete b", "delete a", "delete g"]
    assert stack.cloud.things == {}
    assert result.outputs == stack.engine.outputs() == {}
    assert stack.engine.state() == []
    assert good(stack.engine.destroy()) == []
    assert good(stack.up()) == ["create g", "create a", "create b"]


def test_destroy_of_nothing(stack: Stack) -> None:
    assert good(stack.engine.destroy()) == []


def test_destroy_stops_at_a_refusal_and_goes_on_next_time(stack: Stack) -> None:
    good(stack.up(PROGRAM))
    stack.cloud.fail = {"delete a"}
    assert ops(stack.engine.destroy()) == ["delete b", "delete a failed"]
    stack.cloud.fail = set()
    assert good(stack.engine.destroy()) == ["delete a", "delete g"]


def test_destroy_lets_retained_ones_go(stack: Stack) -> None:
    good(stack.up('Thing("a", Opts(retain_on_delete=True)); Thing("b")'))
    assert good(stack.engine.destroy()) == ["delete b", "delete a retained"]
    assert list(stack.cloud.names()) == ["a"]


def test_destroy_after_a_run_that_broke_off_keeps_the_order(stack: Stack) -> None:
    good(stack.up('a = Thing("a"); b = Thing("b", value=a.serial); c = Thing("c", value=b.serial)'))
    stack.cloud.fail = {"create d"}
    # a is registered again, b and c are not: b still needs a.
    assert ops(stack.up('a = Thing("a"); Thing("d", Opts(depends_on=[a]))')) == ["create d failed"]
    assert good(stack.engine.destroy()) == ["delete c", "delete b", "delete a"]


def test_refresh_notes_what_was_changed_and_what_is_gone(stack: Stack) -> None:
    good(stack.up(PROGRAM))
    stack.cloud.things["a-1"]["value"] = 9
    stack.cloud.things["a-1"]["note"] = "set by the cloud"
    del stack.cloud.things["b-2"]
    result = stack.engine.refresh()
    assert good(result) == ["refresh a", "refresh b gone"]
    changed = next(step for step in result.steps if step.op == "refresh")
    assert changed.changes == (Change("value", 1, 9), Change("note", None, "set by the cloud"))
    assert result.outputs == {"x": 1}
    assert good(stack.engine.refresh()) == []
    assert good(stack.up()) == ["update a", "create b"]
    assert stack.cloud.things["a-1"]["value"] == 1


def test_refresh_stops_at_a_refusal(stack: Stack) -> None:
    good(stack.up(PROGRAM))
    stack.cloud.fail = {"read a-1"}
    assert [error.urn.rpartition("::")[2] for error in stack.engine.refresh().errors] == ["a"]
