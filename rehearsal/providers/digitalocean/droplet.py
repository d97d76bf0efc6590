"""digitalocean:index:Droplet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final

from rehearsal.cloud import machine
from rehearsal.providers import machines
from rehearsal.providers.account import Stored
from rehearsal.providers.base import UNKNOWN, ApiError, Diff, Failure, Property, Props
from rehearsal.providers.digitalocean import catalog, keys, protection, tags
from rehearsal.providers.shapes import known, now, physical_name, words

USER_DATA_LIMIT: Final = 64 * 1024  # bytes. https://docs.digitalocean.com/reference/api/reference/droplets/
# https://github.com/digitalocean/openapi, specification/resources/droplets/models/droplet_single_create.yml
_HOSTNAME = re.compile(r"(?=.{1,255}$)[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?")


class Droplet(Stored):
    """A real machine. Created when it is "active", which is before cloud-init is done, and long before sshd listens.

    Source: terraform-provider-digitalocean, digitalocean/droplet/resource_droplet.go.
    """

    token = "digitalocean:index/droplet:Droplet"
    cloud = "digitalocean"
    collection = protection.DROPLETS
    sets = ("sshKeys", "tags", "volumeIds")
    refused = ("backupPolicy", "gpuPartitionMode", "ipv6Address", "privateNetworking", "volumeIds", "vpcUuid")
    unread = ("sshKeys",)
    inputs: ClassVar = {
        "image": Property(required=True, replace=True),
        "size": Property(required=True),
        "name": Property(),
        "region": Property(replace=True, computed=True),
        "sshKeys": Property(kind=list, replace=True),
        "userData": Property(replace=True),
        "tags": Property(kind=list),
        "ipv6": Property(kind=bool, default=False),  # on: in place; off: replaces
        "monitoring": Property(kind=bool, replace=True, default=False),
        "dropletAgent": Property(kind=bool, replace=True),
        "publicNetworking": Property(kind=bool, replace=True, computed=True),
        "backups": Property(kind=bool, default=False),
        "gracefulShutdown": Property(kind=bool, default=False),
        "resizeDisk": Property(kind=bool, default=True),
        "backupPolicy": Property(kind=dict),
        "gpuPartitionMode": Property(replace=True),
        "ipv6Address": Property(computed=True),
        "privateNetworking": Property(kind=bool, computed=True),
        "volumeIds": Property(kind=list, computed=True),
        "vpcUuid": Property(replace=True, computed=True),
    }
    outputs: ClassVar = {
        "createdAt": Property(),
        "disk": Property(kind=int),
        "dropletUrn": Property(),
        "ipv4Address": Property(),
        "ipv4AddressPrivate": Property(),
        "locked": Property(kind=bool),
        "memory": Property(kind=int),
        "priceHourly": Property(kind=float),
        "priceMonthly": Property(kind=float),
        "status": Property(),
        "vcpus": Property(kind=int),
    }

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        for name in ("size", "region"):
            if isinstance(checked.get(name), str):
                checked[name] = checked[name].lower()
        return checked, failures

    def _odd(self, news: Props) -> Iterator[Failure]:
        rules = {
            "size": ("You specified an invalid size for Droplet creation.", catalog.sizes()),
            "region": ("You specified an invalid region for Droplet creation.", catalog.regions()),
            "image": ("The image you specified is not rehearsed.", (catalog.IMAGE,)),
        }
        for name, (refusal, allowed) in rules.items():
            if known(news.get(name)) and news[name].lower() not in allowed:
                yield Failure(name, f"{refusal} {news[name]!r} is none of {', '.join(allowed)}")
        if known(news.get("name")) and not _HOSTNAME.fullmatch(news["name"]):
            allowed = "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"
            yield Failure("name", f"{allowed} {news['name']!r}")
        if news.get("publicNetworking") is False:
            yield Failure("publicNetworking", "a droplet without public networking is not rehearsed")
        yield from _odd_user_data(news.get("userData"))
        yield from words("sshKeys", news.get("sshKeys"))
        yield from tags.refused("tags", news.get("tags"))

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        if old_inputs.get("ipv6") is True and news.get("ipv6") is False:
            return Diff(found.changes, (*found.replaces, "ipv6"))
        return found

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        public_keys = keys.public_keys(self.world, inputs.get("sshKeys") or [])
        outputs = {"name": physical_name(name), "region": "nyc3", "tags": [], **inputs}
        tags.ensure(self.world, outputs["tags"])
        found = machine.addresses(self.world, "digitalocean")
        if not inputs["ipv6"]:
            found = replace(found, ipv6="")
        serial = self.world.store.serial("digitalocean/ids")
        id = str(500_000_000 + serial)
        outputs |= {
            **_of_size(inputs["size"]),
            "createdAt": now(),
            "dropletUrn": f"do:droplet:{id}",
            "ipv4Address": found.ipv4,
            "ipv4AddressPrivate": f"10.108.{serial // 250 % 250}.{serial % 250 + 2}",
            "ipv6Address": found.ipv6,
            "locked": False,
            "privateNetworking": True,
            "publicNetworking": True,
            "status": "new",
            "userData": _hidden(inputs.get("userData")),
            "vpcUuid": "00000000-0000-4000-8000-000000000000",
        }
        self._keep(id, outputs, (name, inputs), ipv4=found.ipv4, ipv6=found.ipv6, tags=outputs["tags"])
        try:
            # Before its first packet: a firewall that names one of its tags guards it from the start.
            protection.apply(self.world)
            machines.boot(
                self.world,
                protection.machine_id(id),
                found,
                hostname=outputs["name"],
                user_data=inputs.get("userData") or "",
                public_keys=public_keys,
            )
        except BaseException:
            self._delete(id)
            raise
        return id, self._keep(id, {**outputs, "status": "active"})

    def read(self, id: str, outputs: Props) -> Props | None:
        found = super().read(id, outputs)
        return found and {
            **found,
            "status": "active" if machine.running(self.world, protection.machine_id(id)) else "off",
        }

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        if inputs["ipv6"] and not old_outputs.get("ipv6"):
            raise ApiError(
                "ipv6 can't be switched on in place here: DigitalOcean leaves the machine's own side of it to you; "
                "replace the droplet"
            )
        outputs = {**old_outputs, "tags": [], **inputs, "userData": _hidden(inputs.get("userData"))}
        if inputs["size"] != old_outputs["size"]:
            outputs |= self._resized(id, old_outputs["size"], inputs["size"], inputs["resizeDisk"])
        tags.ensure(self.world, outputs["tags"])
        done = self._keep(id, outputs, tags=outputs["tags"])
        protection.apply(self.world)
        return done

    def _resized(self, id: str, old: str, new: str, disk: bool) -> Props:
        before, after = catalog.size(old).disk, catalog.size(new).disk
        if before and after and after < before:
            raise ApiError(
                f"Error resizing droplet ({id}): 422 This size is not available because it has a smaller disk."
            )
        machines.stop_and_start(self.world, protection.machine_id(id))
        return {field: value for field, value in _of_size(new).items() if disk or field != "disk"}

    def _delete(self, id: str) -> None:
        machine.destroy(self.world, protection.machine_id(id))
        super()._delete(id)
        protection.apply(self.world)

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        found = super().adopt(name, inputs)
        if found and not machines.whole(self.world, protection.machine_id(found[0])):
            # Killed between the order and the machine: nothing that anybody could use.
            self._delete(found[0])
            return None
        return found


def _odd_user_data(text: Any) -> Iterator[Failure]:
    if text is None or text is UNKNOWN:
        return
    if not text:
        yield Failure("userData", "must not be empty; leave it out")
    if (size := len(text.encode())) > USER_DATA_LIMIT:
        yield Failure("userData", f"User data is too long: {size} bytes, the limit is {USER_DATA_LIMIT}")


def _hidden(user_data: str | None) -> str | None:
    """What the provider keeps of user data in the outputs: its SHA-1."""
    return None if user_data is None else hashlib.sha1(user_data.encode()).hexdigest()


def _of_size(slug: str) -> Props:
    size = catalog.size(slug)
    hourly = round(size.price / 672, 5) if size.price else None  # billed for at most 672 hours a month
    facts = {"vcpus": size.vcpus, "memory": size.memory, "disk": size.disk, "priceMonthly": size.price}
    return {**facts, "priceHourly": hourly}
