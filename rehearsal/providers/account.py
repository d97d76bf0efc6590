"""Things that live in the stand-in account: objects of the world's store, made and refused as an API would."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from rehearsal.cloud.world import WorldFailed
from rehearsal.providers.base import ApiError, Diff, Failure, Props, Resource, same
from rehearsal.providers.shapes import canonical, not_rehearsed

TOKEN: Final = "rehearsal"
READ_ONLY: Final = "rehearsal-read-only"
"""May look at everything and change nothing."""


@dataclass(frozen=True, kw_only=True)
class _Door:
    """Where a cloud's token comes from, and how it refuses: none, one that it does not know, one that may only read."""

    names: tuple[str, ...]
    none: str
    unknown: str
    forbidden: str


_DOORS: Final = {
    "cloudflare": _Door(
        names=("CLOUDFLARE_API_TOKEN",),
        none="failed to make http request: 403 Forbidden: Authentication error (10000)",
        unknown="failed to make http request: 403 Forbidden: Authentication error (10000)",
        forbidden="failed to make http request: 403 Forbidden: Authentication error (10000)",
    ),
    "digitalocean": _Door(
        names=("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"),
        none="401 Unable to authenticate you",
        unknown="401 Unable to authenticate you",
        forbidden="403 You are not authorized to perform this operation",
    ),
    "aws": _Door(
        names=("AWS_ACCESS_KEY_ID",),
        none="No valid credential sources found",
        unknown="AuthFailure: AWS was not able to validate the provided access credentials",
        forbidden="UnauthorizedOperation: You are not authorized to perform this operation",
    ),
}


def authenticate(cloud: str, *, to_write: bool = False) -> None:
    """Refuses whoever shows none of the rehearsal's own tokens, and whoever would write with the one for reading.

    Raises ApiError, worded as the cloud words it.
    """
    door = _DOORS[cloud]
    shown = {os.environ[name] for name in door.names if os.environ.get(name)}
    if not shown:
        raise ApiError(f"{door.none}: there is no {' or '.join(door.names)}")
    if shown - {TOKEN, READ_ONLY}:
        raise ApiError(
            f"{door.unknown}: the stand-in {cloud} knows only the token {TOKEN!r} in {' or '.join(door.names)}"
        )
    if to_write and READ_ONLY in shown:
        raise ApiError(f"{door.forbidden}: {READ_ONLY!r} may only read")


class Stored(Resource):
    """A resource that is one object of the store: {..what the cloud's other parts read.., "outputs", "made_from"}.

    Subclasses say what the cloud's API does in `_create`, `_update` and `_delete`, and keep the object by `_keep`.
    """

    cloud: ClassVar[str]
    collection: ClassVar[str]
    sets: ClassVar[tuple[str, ...]] = ()  # properties whose order means nothing to the provider
    refused: ClassVar[tuple[str, ...]] = ()  # properties that exist there and are not rehearsed
    unread: ClassVar[tuple[str, ...]] = ()  # what the API never gives back; only the state has it

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        failures += not_rehearsed(checked, self.refused)
        # Rules across properties rely on their types.
        return checked, failures or [*self._odd(checked)]

    def _odd(self, news: Props) -> Iterator[Failure]:
        """What the cloud would refuse in inputs that fit the table."""
        yield from ()

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        changes = tuple(
            name
            for name in found.changes
            if name not in self.sets or not same(canonical(old_inputs.get(name)), canonical(news.get(name)))
        )
        replaces = tuple(name for name in found.replaces if name in changes)
        return replace(found, changes=changes, replaces=replaces)

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        authenticate(self.cloud, to_write=True)
        with _as_refused():
            return self._create(name, inputs)

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        authenticate(self.cloud, to_write=True)
        if self.world.store.get(self.collection, id) is None:
            raise ApiError(f"{id} was not found: it was deleted outside of this program")
        with _as_refused():
            return self._update(id, old_outputs, inputs)

    def delete(self, id: str, outputs: Props) -> None:
        authenticate(self.cloud, to_write=True)
        if self.world.store.get(self.collection, id) is not None:
            with _as_refused():
                self._delete(id)

    def read(self, id: str, outputs: Props) -> Props | None:
        authenticate(self.cloud)
        kept = self.world.store.get(self.collection, id)
        if kept is None:
            return None
        return {**kept["outputs"], **{name: outputs[name] for name in self.unread if name in outputs}}

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        """The newest object made from the same name and inputs."""
        digest = _digest(name, inputs)
        made = [
            (kept["made_at"], id)
            for id, kept in self.world.store.items(self.collection).items()
            if kept.get("made_from") == digest
        ]
        if not made:
            return None
        id = max(made)[1]
        given = {name: inputs[name] for name in self.unread if name in inputs}
        return id, {**(self.read(id, given) or {}), **given}

    def _keep(self, id: str, outputs: Props, made_from: tuple[str, Props] | None = None, **facts: Any) -> Props:
        """Writes the object: its outputs but for the unread ones, and facts for the cloud's other parts."""
        before = self.world.store.get(self.collection, id) or {}
        if made_from:
            before |= {"made_from": _digest(*made_from), "made_at": self.world.store.serial(self.collection)}
        shown = {name: value for name, value in outputs.items() if name not in self.unread and value is not None}
        self.world.store.put(self.collection, id, {**before, **facts, "outputs": shown})
        return {name: value for name, value in outputs.items() if value is not None}

    @abstractmethod
    def _create(self, name: str, inputs: Props) -> tuple[str, Props]: ...

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        raise ApiError(f"{self.token} can't be changed in place")

    def _delete(self, id: str) -> None:
        self.world.store.delete(self.collection, id)


@contextlib.contextmanager
def _as_refused() -> Iterator[None]:
    """What the stand-in can't do is said as the cloud's refusal: to the program there is no difference."""
    try:
        yield
    except WorldFailed as failed:
        raise ApiError(f"The stand-in cloud failed: {failed}") from failed


def _digest(name: str, inputs: Props) -> str:
    return hashlib.sha256(json.dumps([name, _plain(inputs)], sort_keys=True, default=repr).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Whole numbers as ints, which is how a state gives them back."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
