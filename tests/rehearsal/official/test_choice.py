"""Which engine drives a stack, and what is said when it can't. None of this needs `pulumi`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rehearsal import official
from rehearsal.cloud import preflight
from tests.rehearsal import paper
from tests.rehearsal.stacks import rehearse, write


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    monkeypatch.setattr(preflight, "problems", list)


def _without_pulumi(patch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    patch.setattr(shutil, "which", lambda name, *rest, **more: None if name == "pulumi" else found(name, *rest, **more))


@pytest.mark.parametrize("command", ["up", "preview"])
def test_without_pulumi_its_engine_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_pulumi(monkeypatch)
    seen = rehearse(capsys, command, write(tmp_path, {}), "--engine", "pulumi")
    assert seen.code == 2
    assert "there is no `pulumi` on PATH; install it" in " ".join(seen.told)


@pytest.mark.parametrize("option", [["--diff"], ["--expect-no-changes"], ["--target", "urn:pulumi:bad::x::y::z"]])
def test_the_embedded_engine_refuses_options_by_name(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = rehearse(capsys, "preview", write(tmp_path, {}), *option)
    assert seen.code == 1
    assert f"embedded engine does not support {option[0]}; the real engine does" in " ".join(seen.told)


@pytest.mark.parametrize("there", [True, False])
def test_that_pulumi_is_there_is_said_once(
    there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rehearsal.cli.installed", lambda: "/usr/bin/pulumi" if there else None)
    seen = rehearse(capsys, "preview", write(tmp_path, {}))
    assert seen.err.count("--engine pulumi") == there


def test_a_stack_stays_with_the_engine_that_brought_it_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paper.lay(monkeypatch)
    stack = write(tmp_path, {})
    assert rehearse(capsys, "up", stack).code == 0
    refused = rehearse(capsys, "up", stack, "--engine", "pulumi")
    assert refused.code == 2
    assert "was brought up with --engine embedded: go on with that one, or destroy it first" in " ".join(refused.told)
    taken = rehearse(capsys, "import", stack, "random:index/randomPassword:RandomPassword", "name", "id")
    assert taken.code == 2
    assert "import needs a stack that was brought up with --engine pulumi" in " ".join(taken.told)
    assert rehearse(capsys, "destroy", stack).code == 0


def test_the_official_engines_stack_is_known_by_its_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "home" / "bad" / "pulumi" / "state" / ".pulumi" / "stacks" / "flask-origin" / "bad.json"
    checkpoint.parent.mkdir(parents=True)
    stack = write(tmp_path, {})
    for resources, code in (([{"urn": "x"}], 2), ([], 0)):
        checkpoint.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))
        seen = rehearse(capsys, "preview", stack, "--engine", "embedded")
        assert seen.code == code, seen
        assert ("was brought up with --engine pulumi" in " ".join(seen.told)) == bool(code)


def test_installed_is_what_path_says(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_pulumi(monkeypatch)
    assert official.installed() is None
