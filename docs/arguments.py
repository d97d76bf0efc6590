"""The source of package/arguments.py: the settings' models as the typed dictionaries that Pulumi's analyzer reads.

The analyzer knows no unions. Of a line or a list the list is taken, of a number or text the text; sections of which one
is chosen (a host on either cloud) are one section, in which only what all of them need is required.
"""

from __future__ import annotations

from typing import Any

from settings import Settings

Schema = dict[str, Any]

HEAD = '''\
"""What the package's Site takes. Generated from the settings by `python -m docs.generate`."""

# No `from __future__ import annotations`: the analyzer reads them as they are.
# ruff: noqa: E501

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi


'''
SECRETS = '''\
    secrets: NotRequired[Mapping[str, pulumi.Input[str]]]
    """The app's secret environment. SECRET_KEY is made for you unless it is here."""
'''
_SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_PREFERRED = ("array", None, "object", "string", "integer", "number", "boolean")
"""Which of several types is taken; None is a section's."""


def source() -> str:
    """The module."""
    schema: Schema = Settings.model_json_schema() | {"description": "A site's settings, and its app's secrets."}
    classes: dict[str, str] = {}
    _declare("SiteArgs", [schema], schema["$defs"], classes)
    body = "\n\n".join(classes.values()) + SECRETS
    return (HEAD if "[Any]" in body else HEAD.replace("Any, ", "")) + body


def _declare(name: str, options: list[Schema], definitions: Schema, classes: dict[str, str]) -> str:
    """Adds a section's class, after those of the sections within it, and returns its name."""
    lines = [f"class {name}(TypedDict):", f'    """{_together([option["description"] for option in options])}"""', ""]
    for key in dict.fromkeys(key for option in options for key in option["properties"]):
        fields = [option["properties"][key] for option in options if key in option["properties"]]
        types = {_type(key, field, definitions, classes) for field in fields}
        type_ = types.pop() if len(types) == 1 else "Any"
        required = all(key in option.get("required", ()) for option in options)
        lines.append(f"    {key}: {type_}" if required else f"    {key}: NotRequired[{type_}]")
        lines.append(f'    """{_together([_description(field, definitions) for field in fields])}"""')
    text = "\n".join(lines) + "\n"
    if classes.setdefault(name, text) != text:
        raise ValueError(f"two sections would both be {name}")
    return name


def _together(descriptions: list[str]) -> str:
    return " Or: ".join(dict.fromkeys(descriptions))


def _description(field: Schema, definitions: Schema) -> str:
    return field.get("description") or definitions[_section(field)]["description"]


def _section(field: Schema) -> str:
    return str(field["$ref"]).rpartition("/")[2]


def _type(key: str, field: Schema, definitions: Schema, classes: dict[str, str]) -> str:
    options = [option for option in _options(field) if option.get("type") != "null"]
    best = min(options, key=lambda option: _PREFERRED.index(_kind(option)))
    match _kind(best):
        case None:
            sections = [definitions[_section(option)] for option in options if "$ref" in option]
            return _declare(f"{key.title().replace('_', '')}Settings", sections, definitions, classes)
        case "array":
            return f"Sequence[{_type(key, best['items'], definitions, classes)}]"
        case "object":
            return "Mapping[str, str]"
        case simple:
            return _SIMPLE[simple]


def _options(field: Schema) -> list[Schema]:
    several = field.get("anyOf") or field.get("oneOf")
    return [option for part in several for option in _options(part)] if several else [field]


def _kind(option: Schema) -> str | None:
    if "$ref" in option:
        return None
    return option.get("type", "string")  # a constant has none
