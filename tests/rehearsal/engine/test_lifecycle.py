"""What becomes of a resource from one version of the program to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.engine.mem import Stack, good, ops


def test_create_then_nothing_then_update_then_delete(stack: Stack) -> None:
    assert good(stack.up('a = Thing("a", value=1); Thing("b", value=a.serial)')) == ["create a", "create b"]
    assert stack.cloud.names()["b"]["value"] == 1
    written = stack.state_text()

    again = stack.up()
    assert good(again) == []
    assert again.counts == {"same": 3}
    assert stack.cloud.calls == []
    assert stack.state_text() == written

    assert good(stack.up('a = Thing("a", value=2); Thing("b", value=a.serial)')) == ["update a"]
    assert stack.cloud.names()["a"]["value"] == 2
    assert good(stack.up('Thing("a", value=2)')) == ["delete b"]
    assert list(stack.cloud.names()) == ["a"]


def test_inputs_keep_their_kinds_and_defaults_are_filled_in(stack: Stack) -> None:
    good(stack.up('Thing("a", value={"n": 3, "f": 2.5, "yes": True, "list": [1, "x", None], "none": None})'))
    assert stack.cloud.names()["a"]["value"] == {"n": 3, "f": 2.5, "yes": True, "list": [1, "x", None]}
    assert isinstance(stack.cloud.names()["a"]["value"]["n"], int)
    assert stack.cloud.names()["a"]["count"] == 1


def test_replacement_creates_first_updates_dependents_then_deletes(stack: Stack) -> None:
    program = 'a = Thing("a", pin={pin}); Thing("b", value=a.id)'
    good(stack.up(program.format(pin=1)))
    expected = ["replace a", "update b", "delete a replaced"]
    assert good(stack.preview(program.format(pin=2))) == expected
    assert good(stack.up(program.format(pin=2))) == expected
    assert stack.cloud.calls == ["create a", "update b", "delete a"]
    assert stack.cloud.names()["b"]["value"] == "a-3"
    assert sorted(stack.cloud.things) == ["a-3", "b-2"]


def test_the_replaced_one_awaits_deletion_until_the_program_succeeds(stack: Stack) -> None:
    program = 'a = Thing("a", pin={pin}); Thing("b", value=a.id)'
    good(stack.up(program.format(pin=1)))
    stack.cloud.fail = {"update b"}
    assert ops(stack.up(program.format(pin=2))) == ["replace a", "update b failed"]
    assert sorted(stack.cloud.things) == ["a-1", "a-3", "b-2"]
    assert [(record["id"], record["delete"]) for record in stack.engine.state() if record["custom"]] == [
        ("a-3", False),
        ("a-1", True),
        ("b-2", False),
    ]
    stack.cloud.fail = set()
    assert good(stack.up()) == ["update b", "delete a replaced"]
    assert sorted(stack.cloud.things) == ["a-3", "b-2"]


def test_delete_before_replace_takes_along_what_would_be_replaced_too(stack: Stack) -> None:
    program = """
a = Thing("a", Opts(delete_before_replace=True), pin={pin})
b = Thing("b", pin=a.id)
c = Thing("c", value=a.id)
d = Thing("d", pin=b.serial)
"""
    good(stack.up(program.format(pin=1)))
    expected = [
        "delete d replaced",
        "delete b replaced",
        "delete a replaced",
        "replace a",
        "replace b",
        "update c",
        "replace d",
    ]
    assert sorted(good(stack.preview(program.format(pin=2)))) == sorted(expected)
    done = good(stack.up(program.format(pin=2)))
    assert done[:4] == expected[:4]
    assert sorted(done) == sorted(expected)
    assert sorted(stack.cloud.names()) == ["a", "b", "c", "d"]
    assert len(stack.cloud.things) == 4


def test_what_was_cleared_away_and_is_no_longer_wanted_stays_away(stack: Stack) -> None:
    good(stack.up('a = Thing("a", Opts(delete_before_replace=True), pin=1); Thing("b", pin=a.id)'))
    again = stack.up('a = Thing("a", Opts(delete_before_replace=True), pin=2)')
    assert good(again) == ["delete b replaced", "delete a replaced", "replace a"]
    assert list(stack.cloud.names()) == ["a"]


def test_deletion_goes_against_dependencies_parents_and_depends_on(stack: Stack) -> None:
    good(
        stack.up("""
a = Thing("a")
g = Group("g")
b = Thing("b", Opts(parent=g, depends_on=[a]))
c = Thing("c", value=b.serial)
d = Thing("d", Opts(depends_on=[g]))
""")
    )
    foreseen = good(stack.preview(""))
    deleted = good(stack.up(""))
    assert deleted == foreseen
    order = {name: deleted.index(f"delete {name}") for name in "abcdg"}
    assert order["c"] < order["b"] < order["a"]
    assert order["d"] < order["b"] < order["g"]


def test_ignored_changes_stay_until_it_is_replaced(stack: Stack) -> None:
    program = 'Thing("a", Opts(ignore_changes=["value"]), value={value}, pin={pin}, note="{note}")'
    good(stack.up(program.format(value=1, pin=1, note="x")))
    assert good(stack.up(program.format(value=2, pin=1, note="x"))) == []
    assert good(stack.up(program.format(value=3, pin=1, note="y"))) == ["update a"]
    assert stack.cloud.names()["a"]["value"] == 1
    assert good(stack.up(program.format(value=4, pin=2, note="y"))) == ["replace a", "delete a replaced"]
    assert stack.cloud.names()["a"]["value"] == 4


@pytest.mark.parametrize("which", ["value", "*"])
def test_replace_on_changes(stack: Stack, which: str) -> None:
    program = f'Thing("a", Opts(replace_on_changes=["{which}"]), value=%s, note="%s")'
    good(stack.up(program % (1, "x")))
    assert good(stack.up(program % (2, "x"))) == ["replace a", "delete a replaced"]
    assert good(stack.up(program % (2, "y"))) == (["replace a", "delete a replaced"] if which == "*" else ["update a"])


def test_a_changed_trigger_replaces(stack: Stack) -> None:
    program = 'Thing("a", Opts(replacement_trigger={trigger}))'
    good(stack.up(program.format(trigger=None)))
    assert good(stack.up(program.format(trigger=0))) == []
    assert good(stack.up(program.format(trigger=1))) == ["replace a", "delete a replaced"]
    assert good(stack.up(program.format(trigger=1))) == []


def test_protected_ones_are_neither_replaced_nor_deleted(stack: Stack) -> None:
    program = 'Thing("z"); Thing("a", Opts(protect={protect}), pin={pin})'
    good(stack.up(program.format(protect=True, pin=1)))
    for refused in (stack.up(program.format(protect=True, pin=2)), stack.up('Thing("z")'), stack.engine.destroy()):
        assert [(error.urn.rpartition("::")[2], "protect" in error.text) for error in refused.errors] == [("a", True)]
        assert ops(refused) == []
    assert sorted(stack.cloud.names()) == ["a", "z"]
    assert good(stack.up(program.format(protect=False, pin=2))) == ["replace a", "delete a replaced"]


def test_retained_ones_are_let_go(stack: Stack) -> None:
    good(stack.up('Thing("a", Opts(retain_on_delete=True))'))
    assert good(stack.up("")) == ["delete a retained"]
    assert list(stack.cloud.names()) == ["a"]
    assert stack.cloud.calls == []
    assert good(stack.up("")) == []


class TestAliases:
    def test_a_new_name(self, stack: Stack) -> None:
        good(stack.up('a = Thing("a"); Thing("x", Opts(depends_on=[a]))'))
        renamed = 'a = Thing("b", Opts(aliases=[Alias(name="a")])); Thing("x", Opts(depends_on=[a]))'
        assert good(stack.up(renamed)) == []
        assert good(stack.up('Thing("b")')) == ["delete x"]
        assert list(stack.cloud.names()) == ["a"]

    def test_a_whole_urn(self, stack: Stack) -> None:
        good(stack.up('Thing("a")'))
        urn = "urn:pulumi:dev::project::mem:index:Thing::a"
        assert good(stack.up(f'Thing("b", Opts(aliases=["{urn}"]))')) == []

    def test_a_new_parent(self, stack: Stack) -> None:
        good(stack.up('Thing("a")'))
        moved = 'g = Group("g"); Thing("a", Opts(parent=g, aliases=[Alias(parent=None)]))'
        assert good(stack.up(moved)) == ["create g"]

    def test_a_component_s_new_type_and_name_go_for_its_children(self, stack: Stack) -> None:
        good(
            stack.up(
                'g = Group("g"); Thing("g-host", Opts(parent=g)); h = Group("h", Opts(parent=g)); '
                'Thing("g-deep", Opts(parent=h))'
            )
        )
        renamed = """
g = Group("site", Opts(aliases=[Alias(name="g", type_="mem:index:Group")]), token="mem:index:Site")
Thing("site-host", Opts(parent=g)); h = Group("h", Opts(parent=g)); Thing("g-deep", Opts(parent=h))
"""
        assert good(stack.up(renamed)) == []
        assert good(stack.up()) == []
        assert good(stack.up("")) == ["delete g-deep", "delete h", "delete site-host", "delete site"]

    def test_one_who_still_lives_is_not_taken(self, stack: Stack) -> None:
        good(stack.up('Thing("a")'))
        assert good(stack.up('Thing("a"); Thing("b", Opts(aliases=[Alias(name="a")]))')) == ["create b"]


class TestImport:
    def test_takes_over_what_exists(self, stack: Stack) -> None:
        stack.cloud.things["there-1"] = {"count": 1, "value": 1, "serial": 7, "key": "k"}
        assert good(stack.preview('Thing("a", Opts(import_="there-1"), value=1)')) == ["import a"]
        assert good(stack.up('Thing("a", Opts(import_="there-1"), value=1)')) == ["import a"]
        assert good(stack.up()) == []
        assert good(stack.up('Thing("a", value=2)')) == ["update a"]
        assert stack.cloud.things["there-1"]["value"] == 2
        assert good(stack.up("")) == ["delete a"]

    def test_brings_it_in_line(self, stack: Stack) -> None:
        stack.cloud.things["there-1"] = {"count": 1, "value": 1, "serial": 7, "key": "k"}
        assert good(stack.up('Thing("a", Opts(import_="there-1"), value=2)')) == ["import a", "update a"]

    def test_takes_off_what_the_program_does_not_give(self, stack: Stack) -> None:
        stack.cloud.things["there-1"] = {"count": 1, "note": "x", "serial": 7, "key": "k"}
        assert good(stack.preview('Thing("a", Opts(import_="there-1"))')) == ["import a", "update a"]
        assert good(stack.up('Thing("a", Opts(import_="there-1"))')) == ["import a", "update a"]
        assert "note" not in stack.cloud.things["there-1"]

    def test_but_does_not_replace_it(self, stack: Stack) -> None:
        stack.cloud.things["there-1"] = {"count": 1, "pin": 1, "serial": 7, "key": "k"}
        result = stack.up('Thing("a", Opts(import_="there-1"), pin=2)')
        assert "import" in result.errors[0].text
        assert list(stack.cloud.things) == ["there-1"]

    def test_of_nothing_is_refused(self, stack: Stack) -> None:
        result = stack.up('Thing("a", Opts(import_="there-1"))')
        assert result.errors[0].text == "there is no mem:index:Thing with id 'there-1'"

    def test_in_place_of_another(self, stack: Stack) -> None:
        good(stack.up('Thing("a", value=1)'))
        stack.cloud.things["there-9"] = {"count": 1, "value": 1, "serial": 7, "key": "k"}
        assert good(stack.up('Thing("a", Opts(import_="there-9"), value=1)')) == ["import a", "delete a replaced"]
        assert list(stack.cloud.things) == ["there-9"]


class TestRead:
    def test_refers_to_what_is_none_of_ours(self, stack: Stack) -> None:
        stack.cloud.things["there-1"] = {"count": 1, "value": 1, "serial": 7, "key": "k"}
        program = 'a = Thing("a", Opts(id="there-1")); Thing("b", value=a.serial)'
        assert good(stack.preview(program)) == ["read a", "create b"]
        assert good(stack.up(program)) == ["read a", "create b"]
        assert stack.cloud.names()["b"]["value"] == 7
        assert good(stack.up("")) == ["delete b"]
        assert list(stack.cloud.things) == ["there-1"]
        assert [record["urn"] for record in stack.engine.state() if record["custom"]] == []

    def test_of_nothing_is_refused(self, stack: Stack) -> None:
        result = stack.preview('Thing("a", Opts(id="there-1"))')
        assert result.errors[0].text == "there is no mem:index:Thing with id 'there-1'"

    def test_of_what_a_preview_does_not_know(self, stack: Stack) -> None:
        program = 'a = Thing("a"); b = Thing("b", Opts(id=a.id)); pulumi.export("b", b.serial)'
        assert stack.preview(program).outputs == {"b": "[unknown]"}

    def test_then_our_own(self, stack: Stack) -> None:
        stack.cloud.things["there-1"] = {"count": 1, "value": 1, "serial": 7, "key": "k"}
        good(stack.up('Thing("a", Opts(id="there-1"))'))
        assert good(stack.up('Thing("a")')) == ["create a"]
        assert good(stack.up('Thing("a", Opts(id="there-1"))')) == ["read a", "delete a replaced"]
        assert list(stack.cloud.things) == ["there-1"]


def test_explicit_providers_live_in_the_state_and_change_nothing(stack: Stack) -> None:
    program = 'm = Mem("m", "{region}"); Thing("a", Opts(provider=m))'
    assert good(stack.preview(program.format(region="x"))) == ["create m", "create a"]
    assert good(stack.up(program.format(region="x"))) == ["create m", "create a"]
    assert good(stack.up(program.format(region="y"))) == ["update m"]
    assert good(stack.up('Thing("a")')) == ["delete m"]
    assert good(stack.up('m = Mem("m", "z"); g = Group("g", Opts(providers=[m])); Thing("b", Opts(parent=g))')) == [
        "create m",
        "create g",
        "create b",
        "delete a",
    ]
    assert good(stack.engine.destroy()) == ["delete b", "delete g", "delete m"]


def test_components_outputs_and_the_stack_s(stack: Stack) -> None:
    program = 'g = Group("g"); g.register_outputs({"n": %s}); pulumi.export("n", Output.from_input(%s)); '
    assert stack.up(program % (1, 2)).outputs == {"n": 2}
    assert stack.engine.outputs() == {"n": 2}
    assert [record["outputs"] for record in stack.engine.state()] == [{"n": 2}, {"n": 1}]
    assert stack.up(program % (3, 4)).outputs == {"n": 4}
    assert [record["outputs"] for record in stack.engine.state()] == [{"n": 4}, {"n": 3}]


def test_assets_change_with_their_contents(stack: Stack) -> None:
    file = stack.folder / "file.txt"
    file.write_text("one")
    program = f'Thing("a", value=FileAsset("{file}"))'
    good(stack.up(program))
    assert good(stack.up()) == []
    file.write_text("two")
    changed = stack.preview(program)
    assert good(changed) == ["update a"]
    (change,) = changed.steps[-1].changes
    assert change.old != change.new
    assert good(stack.up()) == ["update a"]
    file.unlink()
    assert "can't be read" in stack.up().errors[0].text


def test_timeouts_are_accepted(stack: Stack) -> None:
    assert good(stack.up('Thing("a", Opts(custom_timeouts=pulumi.CustomTimeouts(create="5m")))')) == ["create a"]


def test_many_at_once(tmp_path: Path) -> None:
    stack = Stack(tmp_path, parallel=8)
    program = """
things = [Thing(f"t{i}", value=i) for i in range(25)]
for i, thing in enumerate(things):
    Thing(f"u{i}", value=thing.serial)
"""
    assert len(good(stack.up(program))) == 50
    assert good(stack.up()) == []
    assert len(good(stack.up(""))) == 50
    assert stack.cloud.things == {}
