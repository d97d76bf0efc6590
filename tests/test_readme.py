"""What the README tells people to write and run is there, and does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import settings
from rehearsal import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_stack_file_is_one() -> None:
    (text,) = blocks("yaml")
    config = yaml.safe_load(text)["config"]
    loaded = settings.load({key.removeprefix("flask-origin:"): value for key, value in config.items()})
    assert loaded.site.hostname == "app.example.com"
    assert len(text.splitlines()) <= 12


def test_the_make_targets_are_there() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named >= {"rehearse", "test"}
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("line", sorted(set(re.findall(r"\./rehearse ([a-z][^\n#`]*)", README))))
def test_the_commands_are_understood(line: str) -> None:
    for command in line.split(" | "):
        words = [word for word in command.split() if word != "…"]
        assert cli.parser().parse_args(words).run


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_continuous_integration_runs_the_readme_s_test_command() -> None:
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec make test")
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()
