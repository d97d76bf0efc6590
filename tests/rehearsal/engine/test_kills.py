"""A run that is killed leaves an honest note, and the next one finishes the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.engine import state
from tests.rehearsal.engine.mem import Stack, good, ops

ROOT = Path(__file__).parents[3]

KILLED = """
import os
import sys
from pathlib import Path
from tests.rehearsal.engine.mem import Stack

_, folder, at, moment = sys.argv  # before the program gets its own
stack = Stack(Path(folder))
if moment == "after":
    stack.cloud.die = {at}
else:
    stack.cloud.before = lambda what: what == at and os._exit(9)
stack.up()
"""


def killed(folder: Path, program: str, at: str, moment: str = "after") -> Stack:
    """A stack whose run of the program was killed right before or after the cloud had done the call `at`."""
    Stack(folder).write(program)
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), at, moment], cwd=ROOT, timeout=60, capture_output=True
    )
    assert run.returncode == 9, run.stderr.decode()
    return Stack(folder)


def pending(stack: Stack) -> list[tuple[str, str]]:
    notes = json.loads(stack.state_text())["pendingOperations"]
    return [(note["type"], note["resource"]["urn"].rpartition("::")[2]) for note in notes]


PROGRAM = 'a = Thing("a", value=1, pin=1); b = Thing("b", value=a.serial); c = Thing("c", value=b.serial)'


def test_in_a_create_it_is_found_again(tmp_path: Path) -> None:
    stack = killed(tmp_path, PROGRAM, "create b")
    assert pending(stack) == [("creating", "b")]
    preview = stack.preview(PROGRAM)
    assert [warning.urn[-3:] for warning in preview.warnings] == ["::b"]
    assert "killed while creating" in preview.warnings[0].text
    assert pending(stack) == [("creating", "b")]
    assert good(stack.up()) == ["create c"]
    assert sorted(stack.cloud.things) == ["a-1", "b-2", "c-3"]
    assert pending(stack) == []
    assert good(stack.up()) == []


def test_in_a_create_of_what_is_no_longer_wanted(tmp_path: Path) -> None:
    stack = killed(tmp_path, PROGRAM, "create b")
    assert good(stack.up("")) == ["delete b", "delete a"]
    assert stack.cloud.things == {}


def test_and_destroy_finds_it_too(tmp_path: Path) -> None:
    stack = killed(tmp_path, PROGRAM, "create b")
    assert good(stack.engine.destroy()) == ["delete b", "delete a"]
    assert stack.cloud.things == {}


def test_in_a_create_of_what_can_t_be_looked_up_a_warning_is_all_we_have(tmp_path: Path) -> None:
    stack = killed(tmp_path, 'Thing("a", token="mem:index:Secretive")', "create a")
    result = stack.up()
    assert good(result) == ["create a"]
    (warning,) = result.warnings
    assert "killed while creating it, so it may exist" in warning.text
    assert sorted(stack.cloud.things) == ["a-1", "a-2"]
    assert stack.up().warnings == ()


def test_in_a_replacement_s_create(tmp_path: Path) -> None:
    good(Stack(tmp_path).up(PROGRAM))
    stack = killed(tmp_path, PROGRAM.replace("pin=1", "pin=2"), "create a")
    assert good(stack.up()) == ["update b", "delete a replaced"]
    assert sorted(stack.cloud.things) == ["a-4", "b-2", "c-3"]


def test_before_a_replacement_s_create_the_old_one_is_not_taken_for_the_new(tmp_path: Path) -> None:
    good(Stack(tmp_path).up(PROGRAM))
    stack = killed(tmp_path, PROGRAM.replace("pin=1", "pin=2"), "create a", "before")
    assert good(stack.up()) == ["replace a", "update b", "delete a replaced"]
    assert sorted(stack.cloud.things) == ["a-4", "b-2", "c-3"]
    assert stack.cloud.things["a-4"]["pin"] == 2


def test_in_an_update_it_is_done_again_even_if_the_program_is_back(tmp_path: Path) -> None:
    good(Stack(tmp_path).up(PROGRAM))
    stack = killed(tmp_path, PROGRAM.replace("value=1", "value=2"), "update a")
    assert pending(stack) == [("updating", "a")]
    assert stack.cloud.things["a-1"]["value"] == 2
    assert good(stack.up(PROGRAM)) == ["update a"]
    assert stack.cloud.things["a-1"]["value"] == 1
    assert good(stack.up()) == []


def test_in_a_delete(tmp_path: Path) -> None:
    good(Stack(tmp_path).up(PROGRAM))
    stack = killed(tmp_path, 'a = Thing("a", value=1, pin=1)', "delete c")
    assert pending(stack) == [("deleting", "c")]
    assert good(stack.up(PROGRAM)) == ["create c"]
    assert sorted(stack.cloud.things) == ["a-1", "b-2", "c-4"]
    assert good(stack.up()) == []


def test_in_a_delete_of_what_was_replaced(tmp_path: Path) -> None:
    good(Stack(tmp_path).up(PROGRAM))
    stack = killed(tmp_path, PROGRAM.replace("pin=1", "pin=2"), "delete a")
    assert good(stack.up()) == []
    assert sorted(stack.cloud.things) == ["a-4", "b-2", "c-3"]


def test_a_dead_run_s_lock_is_taken_over(tmp_path: Path) -> None:
    stack = killed(tmp_path, PROGRAM, "create b")
    assert (stack.home / "state.lock").read_text() != ""
    assert stack.up().ok
    assert (stack.home / "state.lock").read_text() == ""


def test_a_live_one_s_is_not(stack: Stack) -> None:
    with state.locked(stack.home / "state.lock"):
        result = stack.up(PROGRAM)
        assert ops(result) == []
        assert f"another run (process {os.getpid()}) is at work" in result.errors[0].text
        assert stack.preview(PROGRAM).ok
        assert not stack.engine.destroy().ok
    assert stack.up(PROGRAM).ok


def test_a_pid_that_is_used_again_is_not_mistaken(stack: Stack) -> None:
    stack.home.mkdir()
    (stack.home / "state.lock").write_text(f"{os.getpid()} 1")
    assert stack.up(PROGRAM).ok


def test_ctrl_c_finishes_what_is_under_way_and_begins_nothing(tmp_path: Path) -> None:
    script = """
import sys, time, os, signal
from pathlib import Path
from tests.rehearsal.engine.mem import Stack, ops

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
stack = Stack(Path(sys.argv[1]))
save = stack.cloud.save
def slow(what):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    save(what)
stack.cloud.save = slow
result = stack.up('a = Thing("a"); Thing("b", value=a.serial)')
print(ops(result), [error.text for error in result.errors], result.ok)
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, timeout=60, capture_output=True, text=True
    )
    assert run.stdout == "['create a'] ['interrupted'] False\n", run.stderr
    assert good(Stack(tmp_path).up()) == ["create b"]


def test_a_state_of_another_version_is_left_alone(stack: Stack) -> None:
    stack.home.mkdir()
    (stack.home / "state.json").write_text('{"version": 99}')
    assert "version 99" in stack.up(PROGRAM).errors[0].text
    assert stack.cloud.calls == []


@pytest.mark.parametrize("moment", ["open", "replace"])
def test_a_write_that_fails_leaves_the_state_before(stack: Stack, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good(stack.up('Thing("a")'))
    before = stack.state_text()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path if moment == "replace" else os, moment, full)
        assert "No space left" in stack.up('Thing("a"); Thing("b")').errors[0].text
    assert stack.state_text() == before
    assert good(stack.up('Thing("a"); Thing("b")')) == ["create b"]
