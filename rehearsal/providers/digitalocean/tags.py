"""digitalocean:index:Tag, and what a tag may be called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from rehearsal.cloud.world import World
from rehearsal.providers.account import Stored
from rehearsal.providers.base import Failure, Property, Props
from rehearsal.providers.digitalocean import protection
from rehearsal.providers.shapes import as_list, physical_name

COLLECTION = "digitalocean/tags"
_NAME = re.compile(r"[a-zA-Z0-9:\-_]{1,255}")


class Tag(Stored):
    """Source: terraform-provider-digitalocean, digitalocean/tag/{resource_tag,tags}.go."""

    token = "digitalocean:index/tag:Tag"
    cloud = "digitalocean"
    collection = COLLECTION
    inputs: ClassVar = {"name": Property(replace=True)}
    outputs: ClassVar = {
        "totalResourceCount": Property(kind=int),
        "dropletsCount": Property(kind=int),
        "imagesCount": Property(kind=int),
        "volumesCount": Property(kind=int),
        "volumeSnapshotsCount": Property(kind=int),
        "databasesCount": Property(kind=int),
    }

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from refused("name", [news.get("name")])

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        # Creating a tag that exists is no error: https://docs.digitalocean.com/reference/api/reference/tags/
        id = inputs.get("name") or physical_name(name)
        outputs = {"name": id, **self._counts(id)}
        return id, self._keep(id, outputs, (name, inputs), name=id)

    def read(self, id: str, outputs: Props) -> Props | None:
        found = super().read(id, outputs)
        return found and {**found, **self._counts(id)}

    def _delete(self, id: str) -> None:
        """Takes the tag off everything that carries it, firewalls too: what they guarded by it is open then."""
        super()._delete(id)
        for collection in (protection.DROPLETS, protection.FIREWALLS):
            for other, kept in self.world.store.items(collection).items():
                if id in kept["tags"]:
                    left = [tag for tag in kept["tags"] if tag != id]
                    kept["outputs"]["tags"] = left
                    self.world.store.put(collection, other, {**kept, "tags": left})
        protection.apply(self.world)

    def _counts(self, id: str) -> Props:
        tagged = sum(id in droplet["tags"] for droplet in self.world.store.items(protection.DROPLETS).values())
        return {**dict.fromkeys(self.outputs, 0), "totalResourceCount": tagged, "dropletsCount": tagged}


def refused(path: str, tags: Any) -> Iterator[Failure]:
    """What is wrong with the tags' names."""
    for tag in as_list(tags):
        if isinstance(tag, str) and not _NAME.fullmatch(tag):
            yield Failure(
                path,
                "tags may contain lowercase letters, numbers, colons, dashes, and underscores; there is a limit of 255 "
                f"characters per tag: {tag!r}",
            )


def ensure(world: World, tags: list[str]) -> None:
    """Makes those that do not exist, as creating a droplet with them does."""
    for tag in tags:
        if world.store.get(COLLECTION, tag) is None:
            world.store.put(COLLECTION, tag, {"name": tag, "outputs": {"name": tag}})
