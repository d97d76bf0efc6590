"""What goes wrong, and in which words one hears of it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tests.rehearsal.engine.mem import Stack, good, ops


def test_a_refused_create_stops_what_hangs_on_it_and_keeps_the_rest(stack: Stack) -> None:
    program = 'z = Thing("z"); a = Thing("a", Opts(depends_on=[z])); Thing("b", value=a.serial); pulumi.export("x", 1)'
    stack.cloud.fail = {"create a"}
    result = stack.up(program)
    assert not result.ok
    assert ops(result) == ["create z", "create a failed"]
    (error,) = result.errors
    assert (error.text, error.urn) == ("no create a today", "urn:pulumi:dev::project::mem:index:Thing::a")
    assert list(stack.cloud.names()) == ["z"]
    stack.cloud.fail = set()
    assert good(stack.up()) == ["create a", "create b"]


def test_what_is_under_way_is_finished_and_recorded(tmp_path: Path) -> None:
    stack = Stack(tmp_path, parallel=4)
    failed, slow = threading.Event(), threading.Event()
    create = stack.cloud.save

    def save(what: str) -> None:
        if what == "create slow":
            slow.set()
            assert failed.wait(20)
        create(what)

    def call(what: str) -> None:
        if what == "create bad":
            assert slow.wait(20)
            threading.Timer(0.2, failed.set).start()
        original(what)

    original = stack.cloud.call
    stack.cloud.save, stack.cloud.call = save, call
    stack.cloud.fail = {"create bad"}
    result = stack.up('s = Thing("slow"); Thing("bad"); Thing("after", value=s.serial)')
    assert sorted(ops(result)) == ["create bad failed", "create slow"]
    assert [record["id"] for record in stack.engine.state() if record["custom"]] == ["slow-1"]


def test_nothing_is_deleted_after_a_failure(stack: Stack) -> None:
    good(stack.up('Thing("a")'))
    assert ops(stack.up("raise Exception")) == []
    stack.cloud.fail = {"create b"}
    assert ops(stack.up('Thing("b")')) == ["create b failed"]
    assert list(stack.cloud.names()) == ["a"]


def test_an_update_that_was_refused_is_done_again_even_if_the_program_is_back(stack: Stack) -> None:
    good(stack.up('Thing("a", value=1)'))
    stack.cloud.fail = {"update a"}
    assert ops(stack.up('Thing("a", value=2)')) == ["update a failed"]
    stack.cloud.fail = set()
    assert good(stack.up('Thing("a", value=1)')) == ["update a"]
    assert good(stack.up()) == []


def test_a_refused_delete_is_tried_again(stack: Stack) -> None:
    good(stack.up('a = Thing("a"); Thing("b", value=a.serial)'))
    stack.cloud.fail = {"delete b"}
    assert ops(stack.up("")) == ["delete b failed"]
    assert sorted(stack.cloud.names()) == ["a", "b"]
    stack.cloud.fail = set()
    assert good(stack.up("")) == ["delete b", "delete a"]


def test_a_bug_in_a_provider_shows_where_it_is(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.cloud, "serial", lambda: 1 // 0)
    result = stack.up('Thing("a")')
    assert "mem.py" in result.errors[0].text
    assert result.errors[0].text.rstrip().endswith("ZeroDivisionError: integer division or modulo by zero")


class TestProgramErrors:
    def test_a_user_s_mistake_is_told_without_a_traceback(self, stack: Stack) -> None:
        for program in (
            'raise pulumi.RunError("size: no such size")',
            'class Bad(Exception):\n    user_error = True\n\nraise Bad("size: no such size")',
        ):
            assert [error.text for error in stack.preview(program).errors] == ["size: no such size"]

    def test_any_other_with_the_program_s_own_frames(self, stack: Stack) -> None:
        text = stack.preview("def f():\n    raise ValueError('odd')\n\nf()").errors[0].text
        frames = [line for line in text.splitlines() if line.startswith("  File")]
        assert len(frames) == 2
        assert all("program/__main__.py" in frame for frame in frames)
        assert text.endswith("ValueError: odd")

    def test_in_apply(self, stack: Stack) -> None:
        text = stack.up('Thing("a").serial.apply(lambda n: 1 / 0)').errors[0].text
        assert text.endswith("ZeroDivisionError: division by zero")

    def test_syntax(self, stack: Stack) -> None:
        assert "SyntaxError" in stack.preview("def").errors[0].text

    def test_exit(self, stack: Stack) -> None:
        assert stack.preview("raise SystemExit(0)").errors[0].text == "the program called sys.exit(0)"

    def test_no_program(self, stack: Stack, tmp_path: Path) -> None:
        assert "No such file" in stack.engine.preview(tmp_path).errors[0].text

    def test_an_output_in_a_string(self, stack: Stack) -> None:
        assert "Calling __str__ on an Output" in stack.preview('Thing("b", note=f"{Thing(\'a\').id}")').errors[0].text

    def test_two_of_a_name(self, stack: Stack) -> None:
        errors = stack.preview('Thing("a"); Thing("a")').errors
        assert [error.text for error in errors] == ["there are two resources of type mem:index:Thing with the name a"]


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ('Thing("a", token="mem:index:Other")', "resources of type mem:index:Other"),
        ('pulumi.StackReference("other")', "resources of type pulumi:pulumi:StackReference"),
        ('a = Thing("a"); Thing("b", Opts(deleted_with=a))', "the DeletedWith option"),
        ('a = Thing("a"); Thing("b", Opts(replace_with=[a]))', "the ReplaceWith option"),
        ('Thing("a", Opts(hide_diffs=["value"]))', "hide_diffs"),
        ('Thing("a", Opts(ignore_changes=["value.deep"]))', "patterns like 'value.deep' in ignore_changes"),
        ('Thing("a", Opts(ignore_changes=["*"]))', "patterns like '*' in ignore_changes"),
        ('Thing("a", Opts(replace_on_changes=["value[0]"]))', "patterns like 'value[0]' in ignore_changes"),
        ('Thing("a", Opts(transforms=[lambda args: None]))', "transforms"),
        ("pulumi.runtime.register_resource_transform(lambda args: None)", "transforms"),
        ("pulumi.runtime.register_invoke_transform(lambda args: None)", "invoke transforms"),
        (
            'hook = pulumi.ResourceHook("h", lambda args: None)\n'
            'Thing("a", Opts(hooks=pulumi.ResourceHookBinding(before_create=[hook])))',
            "resource hooks",
        ),
        ('pulumi.ComponentResource("mem:index:Remote", "r", {"x": 1}, None, True)', "remote components"),
        ('Thing("a", value=pulumi.RemoteAsset("https://example.com/"))', "a property value with signature"),
        ('pulumi.runtime.call("mem:index:call", {}, Thing("a"))', "methods of remote components"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(stack: Stack, program: str, what: str) -> None:
    result = stack.up(program)
    assert [error.text for error in result.errors if f"does not support {what}" in error.text], result.errors
    assert "CLI" not in result.errors[0].text
    assert [name for name in stack.cloud.names() if name != "a"] == []


class TestInvokes:
    def test_answers(self, stack: Stack) -> None:
        good(
            stack.up("""
answer = pulumi.runtime.invoke("mem:index:lookup", {"what": "x"}).value
later = pulumi.runtime.invoke_output("mem:index:lookup", {"what": Thing("a").id})
pulumi.export("now", answer); pulumi.export("later", later["answer"])
secret = pulumi.runtime.invoke_output("mem:index:lookup", {"what": Output.secret("y")})
pulumi.export("secret", secret["answer"])
""")
        )
        assert stack.engine.outputs() == {
            "now": {"answer": "x!", "numbers": [1, 2.5]},
            "later": "a-1!",
            "secret": "[secret]",
        }

    def test_wait_in_a_preview_for_what_they_need(self, stack: Stack) -> None:
        program = 'x = pulumi.runtime.invoke_output("mem:index:lookup", {"what": Thing("a").id}); pulumi.export("x", x)'
        assert stack.preview(program).outputs == {"x": "[unknown]"}
        assert stack.cloud.calls == []

    def test_a_failed_one_can_be_caught(self, stack: Stack) -> None:
        stack.cloud.fail = {"lookup x"}
        program = 'pulumi.runtime.invoke("mem:index:lookup", {"what": "x"})'
        assert "invoke of mem:index:lookup failed: no lookup x today" in stack.preview(program).errors[0].text
        caught = f"try:\n    {program}\nexcept Exception as error:\n    pulumi.log.warn(str(error))"
        assert [warning.text for warning in stack.preview(caught).warnings] == [
            "invoke of mem:index:lookup failed: no lookup x today"
        ]

    def test_an_unknown_one_is_refused_by_name(self, stack: Stack) -> None:
        text = stack.preview('pulumi.runtime.invoke("mem:index:other", {})').errors[0].text
        assert "does not support the function mem:index:other" in text


def test_each_run_starts_afresh_and_leaves_nothing(stack: Stack) -> None:
    source = stack.write('import os, part\npulumi.export("x", part.X); pulumi.export("cwd", os.getcwd())')
    before = (Path.cwd(), sys.path[:], sys.argv[:], dict(os.environ))
    (source / "part.py").write_text("X = 1\nimport os\nos.environ['LEFT'] = 'x'\n")
    assert stack.up().outputs == {"x": 1, "cwd": str(source)}
    (source / "part.py").write_text("X = 222\n")
    assert stack.up().outputs["x"] == 222
    assert (Path.cwd(), sys.path, sys.argv, dict(os.environ)) == before
    assert "part" not in sys.modules


def test_a_program_may_be_asynchronous(stack: Stack) -> None:
    good(
        stack.up("""
import asyncio
async def main():
    await asyncio.sleep(0)
    Thing("a")
    return {"x": 1}
pulumi.run(main)
""")
    )
    assert stack.engine.outputs() == {"x": 1}


def test_require_pulumi_version(stack: Stack) -> None:
    assert stack.preview('from pulumi.runtime import settings; settings.require_pulumi_version(">=3.0.0")').ok
