"""What the tables of several providers share: nested objects, sets, and rows that the rehearsal knows but refuses."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rehearsal.providers.base import UNKNOWN, Failure, Property, Props, differing, has_unknown
from rehearsal.providers.base import _refusal as refusal

Table = Mapping[str, Property]


def nested(path: str, value: Any, table: Table) -> Iterator[Failure]:
    """What is wrong with an object inside a property; `path` names it in the failures."""
    if value is UNKNOWN or value is None:
        return
    if not isinstance(value, dict):
        yield Failure(path, f"must be an object, not {type(value).__name__}")
        return
    for name in value:
        if name not in table:
            yield Failure(f"{path}.{name}", f"is no property of {path}; known ones: {', '.join(table)}")
    for name, row in table.items():
        inner = value.get(name)
        if inner is None:
            if row.required:
                yield Failure(f"{path}.{name}", "is required and was not given")
        elif reason := refusal(row, inner):
            yield Failure(f"{path}.{name}", reason)


def as_list(value: Any) -> list[Any]:
    """The value if it is a list; nothing when it is not given, unknown, or refused by its table anyway."""
    return value if isinstance(value, list) else []


def each(path: str, values: Any, table: Table) -> Iterator[Failure]:
    """`nested` for a list of objects."""
    for index, value in enumerate(as_list(values)):
        yield from nested(f"{path}[{index}]", value, table)


def with_defaults(value: Any, table: Table) -> Any:
    """The object with its table's defaults filled in and its nulls left out."""
    if not isinstance(value, dict):
        return value
    filled = {name: row.default for name, row in table.items() if row.default is not None}
    return {**filled, **{name: inner for name, inner in value.items() if inner is not None}}


def nested_changes(old: Any, new: Any, table: Table) -> list[str]:
    """Which parts of an object inside a property differ; of what is left out the cloud keeps its own idea."""
    old, new = with_defaults(old or {}, table), dict(new or {})
    for name, row in table.items():
        if new.get(name) is None:
            new[name] = old.get(name) if row.computed else row.default
    return differing(old, new)


def words(path: str, values: Any) -> Iterator[Failure]:
    """What is wrong with a list that must hold non-empty strings."""
    for index, value in enumerate(as_list(values)):
        if value is not UNKNOWN and (not isinstance(value, str) or not value):
            yield Failure(f"{path}[{index}]", f"must be a non-empty string, not {value!r}")


def not_rehearsed(news: Props, names: Collection[str]) -> Iterator[Failure]:
    """A failure for each property that the cloud knows and the rehearsal can't act on; empty ones are harmless."""
    for name in names:
        if news.get(name) not in (None, [], {}, "", False):
            yield Failure(name, "is not rehearsed: the stand-in cloud would have to ignore it, so it refuses it")


def canonical(value: Any) -> Any:
    """A value in which the order of lists does not matter, for properties that the provider keeps as sets."""
    if isinstance(value, list):
        return sorted((canonical(item) for item in value), key=repr)
    if isinstance(value, dict):
        return {name: canonical(inner) for name, inner in sorted(value.items())}
    return value


def trimmed(props: Props, name: str) -> Props:
    """The properties, one of them without white space around it."""
    return {**props, name: props[name].strip()} if isinstance(props.get(name), str) else props


def known(*values: Any) -> bool:
    """Whether every one is given and fully known."""
    return all(value is not None and not has_unknown(value) for value in values)


def physical_name(name: str) -> str:
    """What the provider calls a thing whose name the program left out: the logical name and 7 random hex digits.

    https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming
    """
    return f"{name}-{secrets.token_hex(4)[:7]}"


def now() -> str:
    """The time as clouds write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
