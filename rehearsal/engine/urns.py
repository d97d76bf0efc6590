"""Resource names as the engine knows them: urn:pulumi:<stack>::<project>::<types of ancestors and itself>::<name>."""

from __future__ import annotations

from typing import NamedTuple


class Parts(NamedTuple):
    """What a URN is made of."""

    stack: str
    project: str
    types: str  # joined by "$"
    name: str  # may hold anything, "::" too


def parts(urn: str) -> Parts:
    prefix, project, types, name = urn.split("::", 3)
    return Parts(prefix.removeprefix("urn:pulumi:"), project, types, name)


def name_of(urn: str) -> str:
    """The name alone; "" for no URN."""
    return parts(urn).name if urn else ""


def urn_of(stack: str, project: str, parent: str, type: str, name: str) -> str:
    """A resource's URN holds the types of its ancestors, except the stack's."""
    ancestors = f"{parts(parent).types}$" if parent else ""
    if ancestors == "pulumi:pulumi:Stack$":
        ancestors = ""
    return f"urn:pulumi:{stack}::{project}::{ancestors}{type}::{name}"
