"""The generated reference and schema are current, and the schema agrees with the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft202012Validator

from docs import generate
from settings import SettingsError, load

from .samples import VALID, Config, having, lacking
from .test_nonsense import mutated

SCHEMA = Draft202012Validator(generate.stack_schema())


def stack(config: Config, **more: object) -> dict[str, Any]:
    """A stack file that holds a configuration."""
    return {"config": {f"flask-origin:{name}": value for name, value in config.items()} | more}


@pytest.mark.parametrize("path", generate.outputs(), ids=lambda path: path.name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text() == generate.outputs()[path], "run: python -m docs.generate"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(generate.stack_schema())


def test_the_example_in_the_reference_is_whole_and_short() -> None:
    example = yaml.safe_load(generate.MINIMAL)
    assert len(generate.MINIMAL.splitlines()) <= 10
    SCHEMA.validate(example)
    load({key.removeprefix("flask-origin:"): value for key, value in example["config"].items()})


def test_the_schema_leaves_pulumis_own_keys_alone() -> None:
    SCHEMA.validate(stack(VALID, **{"aws:region": "eu-central-1"}) | {"encryptionsalt": "v1:x"})
    SCHEMA.validate(stack(VALID, **{"flask-origin:secrets": {"TOKEN": {"secure": "v1:x"}}}))


@pytest.mark.parametrize(
    "config",
    [
        having("sites", {}),
        having("site.hostnam", "x"),
        having("app.keep", "5"),
        having("app.keep", 51),
        having("app.server.kind", "gunicron"),
        having("edge.minimum_tls", 1.2),
        having("operator.ranges", []),
        having("host.cloud", "gcp"),
        lacking("app.source"),
        having("secrets", {"TOKEN": "in plain text"}),
    ],
)
def test_editors_mark_what_is_wrong(config: Config) -> None:
    assert not SCHEMA.is_valid(stack(config))


@given(mutated())
def test_editors_mark_nothing_that_is_taken(config: Config) -> None:
    config = {name: value for name, value in config.items() if value is not None}
    try:
        load(config)
    except SettingsError:
        return
    SCHEMA.validate(stack(config))
