"""What exists already is taken over by both engines in the same way, and where it differs, as the official one does."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import providers
from rehearsal.cloud import world
from rehearsal.cloud.world import World
from rehearsal.engine import Engine, Result
from rehearsal.official import OfficialEngine
from rehearsal.plugins import home
from rehearsal.providers.aws.groups import SecurityGroup
from rehearsal.providers.base import Props
from rehearsal.providers.cloudflare import zones
from rehearsal.providers.cloudflare.records import DnsRecord
from tests.rehearsal import paper
from tests.rehearsal.needs import needs_pulumi
from tests.rehearsal.providers.driving import make
from tests.rehearsal.stacks import ROOT

# Lets modules of the SDKs be imported without the whole of each, which takes seconds.
importlib.import_module("components.sdk")

PULUMI, EMBEDDED = "pulumi", "embedded"
HTTPS = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["198.18.16.0/24"]}
THERE = {"name": "web", "description": "mine", "tags": {"a": "b"}, "ingress": [HTTPS]}
PASSWORD = "a-known-password"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the program says of the group that exists, and what comes of it."""

    what: str
    says: str
    steps: tuple[str, ...] = ()
    refused: str = ""
    left: Props | None = None  # of the group's properties; None: as it was


_SAME = 'name="web", description="mine", tags={"a": "b"}'
_RULE = '{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["198.18.16.0/24"]}'
CASES = (
    Case(what="as it is", says=f"{_SAME}, ingress=[{_RULE}]", steps=("import",)),
    Case(what="less said, which the cloud decides", says=_SAME, steps=("import",)),
    Case(
        what="less said, which the program decides",
        says='name="web", description="mine"',
        steps=("import", "update"),
        left={"tags": {}},
    ),
    Case(
        what="something else in place",
        says=f"{_SAME}, ingress=[]",
        steps=("import", "update"),
        left={"ingress": []},
    ),
    Case(what="something else that is ignored", says=f"{_SAME}, ingress=[], IGNORED", steps=("import",)),
    Case(what="something else that replaces", says='name="web", description="other"', refused="import"),
)


class Stack:
    """A group in an account, and a program in a folder."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.world = World(folder / "world")
        self.group = make(SecurityGroup(self.world), **THERE)
        self.program = folder / "program"
        self.program.mkdir()
        (self.program / "Pulumi.yaml").write_text(
            f"name: project\nruntime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}\n"
        )
        if engine == PULUMI:
            self.engine: Any = OfficialEngine(folder / "engine", "project", "dev", self.world.root)
        else:
            resources, functions = providers.resources(self.world), providers.functions(self.world)
            self.engine = Engine(folder / "engine", "project", "dev", resources, functions)

    def write(self, program: str) -> None:
        (self.program / "__main__.py").write_text(f"import pulumi\n{program}\n")

    def run(self, command: str) -> Result:
        return getattr(self.engine, command)(self.program)

    def says(self, inputs: str, *, imported: bool = True) -> None:
        """`inputs` of the group in the program; IGNORED among them ignores changes of ingress."""
        options = [f"import_={self.group.id!r}"] if imported else []
        options += ['ignore_changes=["ingress"]'] if "IGNORED" in inputs else []
        given = inputs.replace(", IGNORED", "")
        self.write(
            "from pulumi_aws.ec2.security_group import SecurityGroup\n"
            f"SecurityGroup('group', {given}, opts=pulumi.ResourceOptions({', '.join(options)}))"
        )


@pytest.fixture(autouse=True)
def on_paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Here and in the plugins."""
    paper.lay(monkeypatch)
    monkeypatch.setenv("REHEARSAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(world, "RUNTIME", tmp_path / "run")
    monkeypatch.setattr(home, "MODULE", "tests.rehearsal.plugins.on_paper")


@pytest.fixture(params=[EMBEDDED, pytest.param(PULUMI, marks=needs_pulumi)])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    return Stack(tmp_path, request.param)


def _steps(result: Result, name: str = "group") -> tuple[str, ...]:
    return tuple(step.op for step in result.steps if step.name == name and step.op != "same")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_group_that_exists(case: Case, stack: Stack) -> None:
    before = stack.group.read()
    stack.says(case.says)
    for command in ("preview", "up"):
        result = stack.run(command)
        assert [error.text for error in result.errors if case.refused not in error.text] == []
        if case.refused:
            continue
        assert result.ok, result.errors
        assert _steps(result) == case.steps, command
    if case.refused:
        assert not stack.run("up").ok
        assert stack.group.read() == before
        return
    assert before is not None
    left = stack.group.read() or {}
    assert {name: left[name] for name in THERE} == {name: {**before, **(case.left or {})}[name] for name in THERE}
    assert _steps(stack.run("preview")) == ()
    stack.says(case.says, imported=False)
    assert _steps(stack.run("up")) == ()


def test_what_is_not_there_is_refused(stack: Stack) -> None:
    stack.says(_SAME)
    stack.group.delete()
    result = stack.run("up")
    assert not result.ok
    assert any(stack.group.id in error.text for error in result.errors)


@pytest.mark.parametrize(("length", "fine"), [(len(PASSWORD), True), (len(PASSWORD) + 1, False)])
def test_a_password_by_its_value(length: int, fine: bool, stack: Stack) -> None:
    stack.write(
        "import pulumi_random as random\n"
        f"password = random.RandomPassword('it', length={length}, opts=pulumi.ResourceOptions(import_={PASSWORD!r}))\n"
        "pulumi.export('id', password.id)\npulumi.export('result', password.result)"
    )
    result = stack.run("up")
    assert result.ok is fine, result.errors
    if fine:
        assert _steps(result, "it") == ("import",)
        assert stack.engine.outputs() == {"id": "none", "result": "[secret]"}
        assert stack.engine.outputs(show_secrets=True)["result"] == PASSWORD


def test_a_record_in_the_way_is_taken_over_as_its_refusal_says(stack: Stack) -> None:
    zone = zones.seed_zone(stack.world, "example.com")
    given = {"zoneId": zone, "name": "example.com", "type": "A", "content": "198.19.1.2", "ttl": 1}
    there = make(DnsRecord(stack.world), **given)

    def written(proxied: bool, id: str = "") -> None:
        options = f"opts=pulumi.ResourceOptions(import_={id!r})" if id else ""
        stack.write(
            "from pulumi_cloudflare.dns_record import DnsRecord\n"
            f"DnsRecord('it', zone_id={zone!r}, name='example.com', type='A', content='198.19.1.2', ttl=1, "
            f"proxied={proxied}, {options})"
        )

    written(proxied=False)
    refused = stack.run("up")
    (hint,) = re.findall(rf"`pulumi import {DnsRecord.token} <this name> (\S+)`", " ".join(map(str, refused.errors)))
    written(proxied=True, id=hint)
    assert _steps(stack.run("up"), "it") == ("import", "update")
    record = there.read()
    assert record is not None
    assert record["proxied"] is True
    written(proxied=False)
    assert _steps(stack.run("up"), "it") == ("update",)
    stack.write("")
    assert _steps(stack.run("up"), "it") == ("delete",)
    assert there.read() is None


@needs_pulumi
def test_taken_over_by_the_command_it_is_the_programs(tmp_path: Path) -> None:
    stack = Stack(tmp_path, PULUMI)
    taken = stack.engine.take_over([SecurityGroup.token, "group", stack.group.id])
    assert taken.ok, taken.errors
    assert taken.warnings == ()
    for says, steps in ((_SAME, ()), (f"{_SAME}, ingress=[]", ("update",))):
        stack.says(says, imported=False)
        result = stack.run("up")
        assert (result.errors, _steps(result)) == ((), steps)
