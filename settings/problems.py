"""Pydantic's validation errors in plain words: one line each, that names key, value, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from settings.fields import plain, shown


class SettingsError(ValueError):
    """A stack's configuration is refused. Its text has one problem a line, each starting with the key."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


_SECTION = ("a section", "write its keys on lines of their own below it")
_NAMES = ("a section of names and values", 'write NAME: "value" on lines of their own below it')
_TYPES = {
    "string_type": ("text", "write it in quotes"),
    "string_unicode": ("text", "retype it"),
    "int_type": ("a whole number", "write digits without quotes"),
    "int_from_float": ("a whole number", "write it without a fraction"),
    "bool_type": ("true or false", "write it without quotes"),
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "mapping_type": _NAMES,
    "dict_type": _NAMES,
}


def lines(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One line for each problem that `root` found; none where another problem is the cause."""
    return [line for problem in error.errors(include_url=False) for line in _line(problem, root)]


def _line(error: ErrorDetails, root: type[BaseModel]) -> Iterator[str]:
    key, owner, name = _place(error["loc"], root)
    context, value = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "default_factory_not_called":  # the field that it is made from was refused
            return
        case "value_error":
            problem = str(context["error"])
        case "missing":
            problem = "is missing; do: add it"
        case "extra_forbidden" | "invalid_key":
            problem = _unknown(name, list(owner.model_fields))
        case "union_tag_not_found":
            key, problem = f"{key}.{_tag(context)}", f"is missing; allowed: {_tags(owner, name)}; do: add it"
        case "union_tag_invalid":
            key, problem = (
                f"{key}.{_tag(context)}",
                f"{shown(context['tag'])} is not allowed; allowed: {_tags(owner, name)}",
            )
        case "literal_error":
            problem = f"{shown(value)} is not allowed; allowed: {_choices(owner, name, value)}"
        case "greater_than_equal" | "less_than_equal":
            low, high = (_constraint(owner, name, bound) for bound in ("ge", "le"))
            problem = f"{shown(value)} is out of range; allowed: {low} to {high}"
        case "too_long":
            problem = f"has {context['actual_length']} items; allowed: at most {context['max_length']}"
        case "string_pattern_mismatch":
            examples = owner.model_fields[name].examples or []
            problem = f"{shown(value)} is not of the usual form; allowed: text like {' or '.join(map(str, examples))}"
        case known if known in _TYPES:
            wanted, do = _TYPES[known]
            problem = f"{shown(value)} is not {wanted}; do: {do}"
        case other:
            problem = f"{shown(value)} is not allowed ({other.replace('_', ' ')})"
    yield f"{key}: {problem}"


def _place(location: tuple[int | str, ...], root: type[BaseModel]) -> tuple[str, type[BaseModel], str]:
    """Where an error is: the key as users write it, the model that holds its last field, that field's name."""
    key, owner, name = "", root, ""
    models: dict[str, type[BaseModel]] = {}  # what may stand at this place, by its tag
    for part in location:
        if part in models and len(models) > 1:
            owner, models, name = models[str(part)], {}, ""
        elif part == "[key]":
            continue
        elif isinstance(part, int) and "[key]" not in location:
            key += f"[{part}]"
        else:
            if len(models) == 1:
                owner = next(iter(models.values()))
            field = owner.model_fields.get(str(part))
            # Below a field that holds no model are only names that the user gave (app.environment.NAME).
            if field is not None or not name or models:
                name, models = str(part), _models(field.annotation) if field else {}
            key += f".{plain(str(part))}" if key else plain(str(part))
    return key or "config", owner, name


def _models(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models that an annotation admits, by the values of their first field where that is a tag."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kinds = [
        kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]
    return {str(next(iter(get_args(next(iter(kind.model_fields.values())).annotation)), kind)): kind for kind in kinds}


def _tag(context: dict[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _tags(owner: type[BaseModel], name: str) -> str:
    return ", ".join(_models(owner.model_fields[name].annotation))


def _unknown(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"unknown key; allowed: {', '.join(known)}; do: {f'write {nearest[0]}' if nearest else 'remove it'}"


def _choices(owner: type[BaseModel], name: str, value: object) -> str:
    choices = get_args(owner.model_fields[name].annotation)
    text = ", ".join(shown(choice) for choice in choices)
    # YAML reads 1.2 as a number and "7" as text.
    same = next((choice for choice in choices if str(choice) == str(value)), None)
    return text if same is None else f"{text}; do: write {shown(same)}"


def _constraint(owner: type[BaseModel], name: str, bound: str) -> int:
    return next(getattr(part, bound) for part in owner.model_fields[name].metadata if hasattr(part, bound))
