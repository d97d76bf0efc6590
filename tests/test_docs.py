"""The commands that docs/releases.md tells people to type are the release tool's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from releasing.cli import parser

TEXT = (Path(__file__).parent.parent / "docs/releases.md").read_text()
COMMANDS = re.findall(r"^(?:ssh .* sudo )?release ([^#\n]*)", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_is_understood(command: str) -> None:
    assert parser().parse_args(shlex.split(command)).command


def test_every_command_for_people_is_documented() -> None:
    (commands,) = re.findall(r"\{(\S+)\}", parser().format_usage().replace("\n", "").replace(" ", ""))
    assert {command.split()[0] for command in COMMANDS} == {*commands.split(",")} - {"deploy", "converge"}
