"""What a stand-in provider offers for one resource type: the verbs that a real provider's plugin serves.

Properties travel as `Props`: camelCase names, plain JSON values (integral numbers are ints), pulumi
assets and archives, and `UNKNOWN` for a value that preview can't know. Secrets are unwrapped; which
ones they were is the engine's business.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pulumi import Archive, Asset

if TYPE_CHECKING:
    from rehearsal.cloud.world import World

Props = dict[str, Any]


class Unknown:
    """The type of UNKNOWN, which is equal to nothing but itself and survives copying."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> Unknown:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Unknown:
        return self


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, kw_only=True)
class Property:
    """One row of a resource's table."""

    kind: type | tuple[type, ...] = str  # python type(s) after JSON decoding
    required: bool = False
    replace: bool = False  # a change of it replaces the resource
    secret: bool = False  # its output is secret whatever the input was
    default: Any = None
    computed: bool = False  # what is left out the cloud decides: to stop giving it is no change
    choices: tuple[Any, ...] | None = None  # allowed values


@dataclass(frozen=True)
class Failure:
    """A refused input."""

    property: str
    reason: str


@dataclass(frozen=True)
class Diff:
    """What a change of inputs means for a resource that exists; `replaces` is a part of `changes`."""

    changes: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False
    renews: tuple[str, ...] = ()  # outputs that an update in place may change: unknown in a preview of it

    def foreseen(self, old_outputs: Props, inputs: Props) -> Props:
        """What a preview knows of the outputs after the update in place."""
        kept = {name: value for name, value in old_outputs.items() if name not in self.changes}
        return {**kept, **inputs, **dict.fromkeys(self.renews, UNKNOWN)}


class ApiError(Exception):
    """The stand-in cloud's refusal, worded as the real API words it."""


class Resource(ABC):
    """One resource type."""

    token: ClassVar[str]
    inputs: ClassVar[Mapping[str, Property]] = {}
    outputs: ClassVar[Mapping[str, Property]] = {}  # computed ones, beside the inputs

    def __init__(self, world: World) -> None:
        self.world = world

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        """The inputs with defaults filled in, and what is wrong with them; UNKNOWN is taken on trust."""
        failures = [*self._unexpected(news)]
        checked = dict(news)
        for name, row in self.inputs.items():
            if checked.get(name) is None and row.default is not None:
                checked[name] = copy.deepcopy(row.default)
            value = checked.get(name)
            if value is None:
                checked.pop(name, None)
                if row.required:
                    failures.append(Failure(name, "is required and was not given"))
            elif reason := _refusal(row, value):
                failures.append(Failure(name, reason))
        return checked, failures

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        """By the table: what differs from the last inputs, and which of that replaces."""
        left = {name for name, row in self.inputs.items() if row.computed and news.get(name) is None}
        changes = tuple(name for name in differing(old_inputs, news) if name not in left)
        replaces = tuple(name for name in changes if name in self.inputs and self.inputs[name].replace)
        return Diff(changes, replaces)

    @abstractmethod
    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        """The new thing's id and its outputs, inputs included. Raises ApiError."""

    def foreseen(self, inputs: Props) -> Props:
        """What a preview knows of a new one's outputs."""
        return {**inputs, **dict.fromkeys(self.outputs, UNKNOWN)}

    @abstractmethod
    def read(self, id: str, outputs: Props) -> Props | None:
        """Its outputs as they are now, or None when it is gone; `outputs` is {} on import."""

    def identity(self, import_id: str) -> str:
        """The id that a thing has once it was imported, or looked up, by `import_id`."""
        return import_id

    def found(self, outputs: Props) -> Props:
        """The inputs of a thing that was read and not made here: all that the cloud tells."""
        return {name: outputs[name] for name in self.inputs if name in outputs}

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        """Changes it in place; its outputs afterwards. Not called when every change replaces."""
        raise ApiError(f"{self.token} can't be changed in place")

    @abstractmethod
    def delete(self, id: str, outputs: Props) -> None:
        """Deletes it; that it is gone already is fine."""

    @property
    def secret_outputs(self) -> frozenset[str]:
        """Names of the outputs that are secret whatever the inputs were."""
        return frozenset(name for name, row in {**self.inputs, **self.outputs}.items() if row.secret)

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        """What an interrupted `create(name, inputs)` left behind, as create would have returned it.

        None: it surely left nothing. ApiError: there is no telling, and the user is warned so.
        """
        raise ApiError(f"{self.token} can't be looked up by what it was made from")

    def _unexpected(self, news: Props) -> Iterator[Failure]:
        for name in news:
            if name not in self.inputs:
                known = ", ".join(self.inputs) or "none"
                yield Failure(name, f"is no property of {self.token}; known ones: {known}")


class Function(ABC):
    """One invoke."""

    token: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def invoke(self, args: Props) -> Props:
        """The answer; raises ApiError."""


def has_unknown(value: Any) -> bool:
    """Whether UNKNOWN stands anywhere in it."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return value is UNKNOWN


def differing(old: Props, new: Props) -> list[str]:
    """Names of the properties that are not the same."""
    return [name for name in {**old, **new} if not same(old.get(name), new.get(name))]


def same(old: Any, new: Any) -> bool:
    """Deep equality; assets and archives are equal when their contents are; UNKNOWN differs from all else."""
    if isinstance(old, Asset | Archive) and isinstance(new, Asset | Archive):
        return content_hash(old) == content_hash(new)
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    # True == 1 in Python, but not in JSON.
    return old == new and isinstance(old, bool) == isinstance(new, bool)


def content_hash(asset: Asset | Archive) -> str:
    """sha256 of an asset's bytes, or of an archive's names and contents.

    An asset that comes from the state carries the hash it had then, since its file may have changed by now.
    Raises ApiError when the file is missing, or for remote ones.
    """
    if (remembered := getattr(asset, "hash", None)) is not None:
        return remembered
    digest = hashlib.sha256()
    if (text := getattr(asset, "text", None)) is not None:
        digest.update(text.encode())
    elif (assets := getattr(asset, "assets", None)) is not None:
        for name in sorted(assets):
            digest.update(f"{name}\0{content_hash(assets[name])}\0".encode())
    elif (path := getattr(asset, "path", None)) is not None:
        try:
            if Path(path).is_dir():
                for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
                    inner = hashlib.sha256(file.read_bytes()).hexdigest()
                    digest.update(f"{file.relative_to(path)}\0{inner}\0".encode())
            else:
                digest.update(Path(path).read_bytes())
        except OSError as error:
            raise ApiError(f"the asset {path} can't be read: {error.strerror}") from error
    else:
        raise ApiError(f"{type(asset).__name__} is not supported by the rehearsal: use a local file or text")
    return digest.hexdigest()


def _refusal(row: Property, value: Any) -> str | None:
    if value is UNKNOWN:
        return None
    kinds = row.kind if isinstance(row.kind, tuple) else (row.kind,)
    right = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    if not right or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        return f"must be {wanted}, not {type(value).__name__}{_shown(row, value)}"
    if row.choices is not None and not has_unknown(value) and value not in row.choices:
        return f"must be one of {', '.join(map(str, row.choices))}, not{_shown(row, value) or ' this'}"
    return None


def _shown(row: Property, value: Any) -> str:
    return "" if row.secret else f" {value!r:.80}"
