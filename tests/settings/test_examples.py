"""The stack files that we ship: they load, they show every setting, and what they show as a default is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from docs import generate
from settings import Droplet, Ec2, Settings, load

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(ROOT.glob("Pulumi.*.yaml"))
Config = dict[str, Any]


def uncommented(text: str) -> str:
    """A stack file with each `#setting: value` made a setting."""
    return re.sub(r"^( +)#(?=\S)", r"\1", text, flags=re.MULTILINE)


def sections(text: str) -> Config:
    """A stack file's configuration as the program gets it."""
    return {key.removeprefix("flask-origin:"): value for key, value in yaml.safe_load(text)["config"].items()}


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The dotted paths of all settings below a model."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        nested = [kind for kind in inner if issubclass(kind, BaseModel) and kind not in (Droplet, Ec2)]
        if nested:
            yield from leaves(nested[0], f"{path}{name}.")
        elif Droplet not in inner:
            yield f"{path}{name}"


def written(config: Config, path: str = "") -> Iterator[str]:
    """The dotted paths of everything in a configuration."""
    for name, value in config.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from written(value, f"{path}{name}.")


def test_there_are_stacks_for_both_clouds() -> None:
    assert {load(sections(path.read_text())).host.cloud for path in STACKS} == {"digitalocean", "aws"}


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_a_commented_setting_is_the_default(path: Path) -> None:
    text = path.read_text()
    assert uncommented(text) != text
    plain, full = load(sections(text)).model_dump(), load(sections(uncommented(text))).model_dump()
    for setting in (
        "app.environment",
        "app.release_command",
        "app.exclude",
        "app.maintenance_page",
        "app.error_page",
        "app.static",
        "app.uploads",
        "app.rate_limit",
        "edge.client_ca",
        "edge.hotlink_protection",
        "host.vpc_id",
        "host.subnet_id",
    ):
        section, _, name = setting.partition(".")
        plain[section].pop(name, None)
        # These have no default to show: there must be an example.
        assert full[section].pop(name, "elsewhere") or path.name == "Pulumi.aws.yaml"
    assert plain == full


def test_the_development_stack_shows_every_setting() -> None:
    shown = set(written(sections(uncommented((ROOT / "Pulumi.dev.yaml").read_text()))))
    everything = {*leaves(Settings), *leaves(Droplet, "host.")}
    assert everything - shown == {"app.sha256"}, "which an app in a folder can't have"


def test_the_aws_stack_shows_every_setting_of_its_host() -> None:
    shown = set(written(sections(uncommented((ROOT / "Pulumi.aws.yaml").read_text()))))
    assert set(leaves(Ec2, "host.")) - shown == set()


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_a_stack_names_a_folder_and_an_entrypoint_that_are_there(path: Path) -> None:
    app = load(sections(path.read_text())).app
    assert app.entrypoint
    module, _, name = app.entrypoint.partition(":")
    source = ROOT / app.source / f"{module.replace('.', '/')}.py"
    assert re.search(rf"^({name} =|def {name.removesuffix('()')}\()", source.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_editors_find_the_stack_good(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=schema/settings.schema.json\n")
    for version in (text, uncommented(text)):
        Draft202012Validator(generate.stack_schema()).validate(yaml.safe_load(version))


def test_the_project_declares_the_sections() -> None:
    """`pulumi` refuses a stack that lacks a declared key without a default, so the optional ones have one."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert list(declared) == [*Settings.model_fields, "secrets"]
    for name, declaration in declared.items():
        required = name in Settings.model_fields and Settings.model_fields[name].is_required()
        assert declaration["type"] == "object" and declaration["description"]
        assert declaration.get("default") == (None if required else {})
