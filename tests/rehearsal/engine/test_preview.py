"""What a preview knows, and that it does nothing."""

from __future__ import annotations

import json

from rehearsal.engine.steps import Change
from tests.rehearsal.engine.mem import Stack, good, ops


def test_it_touches_nothing(stack: Stack) -> None:
    stack.preview('Thing("a")')
    assert stack.cloud.calls == []
    assert not stack.home.exists()
    good(stack.up('Thing("a", value=1); Thing("b", pin=1); Thing("c")'))
    before = {file: file.read_bytes() for file in stack.home.iterdir()}
    assert good(stack.preview('Thing("a", value=2); Thing("b", pin=2)')) == [
        "update a",
        "replace b",
        "delete c",
        "delete b replaced",
    ]
    assert stack.cloud.calls == []
    assert {file: file.read_bytes() for file in stack.home.iterdir()} == before
    assert [event.kind for event in stack.events if event.step is None] == []


def test_computed_outputs_of_a_new_one_are_unknown_and_its_inputs_are_not(stack: Stack) -> None:
    result = stack.preview("""
a = Thing("a", value=1)
a.serial.apply(lambda serial: 1 / 0)
pulumi.export("id", a.id)
pulumi.export("value", a.value)
pulumi.export("serial", a.serial)
pulumi.export("count", a.count if hasattr(a, "count") else None)
pulumi.export("dry", pulumi.runtime.is_dry_run())
b = Thing("b", value=a.serial, note=Output.concat("n", a.id), pin={"deep": [a.serial]})
""")
    assert good(result) == ["create a", "create b"]
    assert result.outputs == {"id": "[unknown]", "value": 1, "serial": "[unknown]", "dry": True}
    (b,) = (step for step in result.steps if step.name == "b")
    assert [(change.path, change.new) for change in b.changes if change.path != "count"] == [
        ("note", "[unknown]"),
        ("pin", {"deep": ["[unknown]"]}),
        ("value", "[unknown]"),
    ]


def test_an_update_keeps_the_outputs_that_it_does_not_touch(stack: Stack) -> None:
    program = 'a = Thing("a", value={value}); pulumi.export("both", Output.all(a.id, a.value, a.serial))'
    good(stack.up(program.format(value=1)))
    assert stack.preview(program.format(value=2)).outputs == {"both": ["a-1", 2, 1]}


def test_a_replacement_makes_outputs_unknown_and_so_its_dependents_changes(stack: Stack) -> None:
    program = 'a = Thing("a", pin={pin}); b = Thing("b", value=a.serial); c = Thing("c", pin=b.value)'
    good(stack.up(program.format(pin=1)))
    result = stack.preview(program.format(pin=2))
    assert good(result) == ["replace a", "update b", "replace c", "delete c replaced", "delete a replaced"]
    changes = {step.name: step.changes for step in result.steps if not step.replaced}
    assert changes["a"] == (Change("pin", 1, 2, replaces=True),)
    assert changes["b"] == (Change("value", 1, "[unknown]"),)
    assert changes["c"] == (Change("pin", 1, "[unknown]", replaces=True),)


def test_changes_are_shown_leaf_by_leaf(stack: Stack) -> None:
    program = 'Thing("a", value={"rules": [{"port": "%s", "from": ["x", %s]}], "same": 1%s})'
    good(stack.up(program % (22, '"y"', "")))
    (_, step) = stack.preview(program % (443, '"y", "z"', ', "more": True')).steps
    assert step.changes == (
        Change("value.rules[0].from[2]", None, "z"),
        Change("value.rules[0].port", "22", "443"),
        Change("value.more", None, True),
    )


def test_its_result_is_json(stack: Stack) -> None:
    good(stack.up('Thing("a", value=1)'))
    document = json.loads(json.dumps(stack.preview('Thing("a", value=2); pulumi.export("x", 1)').as_json()))
    assert document["ok"] is True
    assert document["counts"] == {"same": 1, "update": 1}
    assert document["outputs"] == {"x": 1}
    step = document["steps"][1]
    assert (step["op"], step["name"], step["type"]) == ("update", "a", "mem:index:Thing")
    assert step["changes"] == [{"path": "value", "old": 1, "new": 2, "replaces": False}]


def test_program_s_own_messages_are_passed_on(stack: Stack) -> None:
    result = stack.preview("""
a = Thing("a")
pulumi.log.debug("no"); pulumi.log.info("well"); pulumi.log.warn("the certificate expires soon", a)
pulumi.log.error("only said")
""")
    assert result.ok
    assert [(warning.text, warning.urn[-3:]) for warning in result.warnings] == [
        ("the certificate expires soon", "::a")
    ]
    assert {(event.kind, event.text) for event in stack.events if event.step is None} == {
        ("info", "well"),
        ("warning", "the certificate expires soon"),
        ("error", "only said"),
    }


def test_what_would_be_refused_is_refused(stack: Stack) -> None:
    result = stack.preview('Thing("a", count=7, noet="x", note=5)')
    assert ops(result) == []
    assert result.errors[0].urn == "urn:pulumi:dev::project::mem:index:Thing::a"
    assert result.errors[0].text.splitlines() == [
        "noet: is no property of mem:index:Thing; known ones: value, note, count, pin, password",
        "note: must be str, not int 5",
        "count: must be one of 1, 2, 3, not 7",
    ]
