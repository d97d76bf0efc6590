"""The official engine on a small program: what it keeps where, and what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rehearsal.engine import Event
from rehearsal.official import OfficialEngine
from rehearsal.stackfile import load
from tests.rehearsal.needs import needs_pulumi
from tests.rehearsal.stacks import ROOT

pytestmark = needs_pulumi

PROGRAM = """
import pulumi
import pulumi_random as random

config = pulumi.Config()
token = config.require_secret_object("secrets").apply(lambda secrets: secrets["TOKEN"])
password = random.RandomPassword("password", length=config.require_int("length"), keepers={"token": token})
pulumi.export("password", password.result)
pulumi.export("length", password.length)
pulumi.export("nested", config.require_object("nested"))
"""
CONFIG = {"project:length": "12", "project:nested": '{"a": [1, "two"]}', "project:secrets": '{"TOKEN": "canary-1"}'}
SECRETS = {"project:secrets"}


class Stack:
    """The program in a folder, and the engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[Event] = []
        self.program = folder / "program"
        self.program.mkdir()
        (self.program / "__main__.py").write_text(PROGRAM)
        (self.program / "Pulumi.yaml").write_text(
            f"name: project\nruntime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}\n"
        )
        self.engine = OfficialEngine(folder / "engine", "project", "dev", folder / "world", self.heard.append)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return Stack(tmp_path_factory.mktemp("stack"))


def test_it_is_previewed_and_brought_up(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What would lead it to the user's own stacks, or stop it, if it got that far.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///nowhere")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    monkeypatch.setenv("PULUMI_STACK", "other")

    preview = stack.engine.preview(stack.program, CONFIG, SECRETS)
    assert (preview.errors, preview.warnings) == ((), ())
    assert [step.op for step in preview.steps if step.name == "password"] == ["create"]
    assert not stack.engine.holds_state

    up = stack.engine.up(stack.program, CONFIG, SECRETS)
    assert (up.errors, up.warnings) == ((), ())
    assert [step.op for step in up.steps if step.name == "password"] == ["create"]
    assert up.outputs == {"password": "[secret]", "length": 12, "nested": {"a": [1, "two"]}}
    assert stack.engine.holds_state
    assert any("password created" in event.text for event in stack.heard)

    assert list(tmp_path.iterdir()) == [], "it wrote to the user's home"
    written = {path.name for path in stack.program.iterdir()} - {"__pycache__"}
    assert written == {"Pulumi.yaml", "__main__.py"}


def test_outputs_are_shown_to_who_asks(stack: Stack) -> None:
    assert stack.engine.outputs()["password"] == "[secret]"
    assert len(stack.engine.outputs(show_secrets=True)["password"]) == 12


def test_no_secret_is_on_the_disk_in_plain_text(stack: Stack) -> None:
    password = stack.engine.outputs(show_secrets=True)["password"]
    files = [path for path in stack.engine.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        for secret in ("canary-1", password):
            assert secret.encode() not in path.read_bytes(), path
    assert (stack.engine.folder / "passphrase").stat().st_mode & 0o777 == 0o600
    assert stack.engine.folder.stat().st_mode & 0o777 == 0o700
    # The program got it all the same, and so would the user's own `pulumi` with that passphrase.
    settings = stack.engine.folder / "Pulumi.dev.yaml"
    environment = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(stack.engine.folder / "passphrase")}
    assert json.loads(load(settings, environment).config["project:secrets"]) == {"TOKEN": "canary-1"}


def test_a_change_is_a_replacement_told_by_both_halves(stack: Stack) -> None:
    up = stack.engine.up(stack.program, {**CONFIG, "project:length": "14"}, SECRETS)
    steps = [(step.op, step.replaced) for step in up.steps if step.name == "password"]
    assert sorted(steps) == [("delete", True), ("replace", False)]
    (replaced,) = [step for step in up.steps if step.op == "replace"]
    assert [(c.path, c.old, c.new, c.replaces) for c in replaced.changes] == [("length", 12, 14, True)]


def test_options_are_passed_on(stack: Stack) -> None:
    config = {**CONFIG, "project:length": "14"}
    assert stack.engine.preview(stack.program, config, SECRETS, ["--expect-no-changes"]).ok
    changed = stack.engine.preview(stack.program, CONFIG, SECRETS, ["--expect-no-changes", "--diff"])
    assert not changed.ok
    assert stack.engine.refresh(["--expect-no-changes"]).ok
    urn = next(step.urn for step in changed.steps if step.name == "password")
    targeted = stack.engine.preview(stack.program, CONFIG, SECRETS, ["--target", urn])
    assert [step.op for step in targeted.steps if step.urn == urn] == ["replace", "delete"]
    missed = stack.engine.preview(stack.program, CONFIG, SECRETS, ["--target", f"{urn}-of-nobody"])
    assert not missed.ok
    assert "of-nobody" in missed.errors[0].text


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import pulumi_random as r\nr.RandomPassword('p', length=0)", "must be at least 1"),
        ("import pulumi_random as r\nr.RandomPet('p')", "RandomPet is not rehearsed"),
        ("raise SystemExit(3)", "3"),
    ],
)
def test_a_refusal_is_the_results_error(stack: Stack, program: str, words: str) -> None:
    (stack.program / "__main__.py").write_text(program)
    try:
        result = stack.engine.preview(stack.program, CONFIG, SECRETS)
    finally:
        (stack.program / "__main__.py").write_text(PROGRAM)
    assert not result.ok
    assert words in " ".join(error.text for error in result.errors)


def test_what_exists_is_taken_over(stack: Stack) -> None:
    taken = stack.engine.take_over(["random:index/randomPassword:RandomPassword", "taken", "a-known-password"])
    assert taken.ok, taken.errors
    assert [(step.op, step.name) for step in taken.steps if step.name == "taken"] == [("import", "taken")]


def test_after_a_kill_the_next_run_goes_on(stack: Stack) -> None:
    """kill -9 in the middle: the engine's lock is left, and nothing goes on by itself."""
    script = (
        "import sys; from pathlib import Path; from rehearsal.official import OfficialEngine\n"
        f"engine = OfficialEngine(Path({str(stack.engine.folder)!r}), 'project', 'dev', Path({str(stack.folder)!r}))\n"
        f"engine.up(Path({str(stack.program)!r}), {CONFIG!r}, {SECRETS!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    locks = stack.engine.folder / "state" / ".pulumi" / "locks"
    deadline = time.monotonic() + 60
    while not any(locks.rglob("*.json")):
        assert time.monotonic() < deadline and process.poll() is None, "no lock was seen"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert any(locks.rglob("*.json"))
    assert stack.engine.up(stack.program, CONFIG, SECRETS).ok


def test_destroyed_it_holds_nothing(stack: Stack) -> None:
    gone = stack.engine.destroy()
    assert gone.ok, gone.errors
    assert "password" in {step.name for step in gone.steps if step.op == "delete"}
    assert not stack.engine.holds_state
    assert stack.engine.outputs() == {}
