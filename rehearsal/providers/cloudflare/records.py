"""cloudflare:index:DnsRecord."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from rehearsal.providers.account import Stored, authenticate
from rehearsal.providers.base import ApiError, Failure, Function, Property, Props
from rehearsal.providers.cloudflare import api
from rehearsal.providers.shapes import canonical, known, now

# What the stand-in DNS serves; Cloudflare has 17 more types.
TYPES: Final = ("A", "AAAA", "CNAME", "TXT")
AUTOMATIC: Final = 1
_IDENTICAL: Final = 81058
_PROXIABLE: Final = ("A", "AAAA", "CNAME")


class DnsRecord(Stored):
    """Source: terraform-provider-cloudflare v5, internal/services/dns_record/{schema,resource,custom}.go, and
    https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/."""

    token = "cloudflare:index/dnsRecord:DnsRecord"
    cloud = "cloudflare"
    collection = "cloudflare/records"
    sets = ("tags",)
    refused = ("data", "includeShadowMetadata", "priority", "privateRouting", "settings", "tags")
    inputs: ClassVar = {
        "zoneId": Property(required=True, replace=True),
        "name": Property(required=True),
        "type": Property(required=True, replace=True),
        "ttl": Property(kind=float, required=True),
        "content": Property(),
        "proxied": Property(kind=bool, default=False),
        "comment": Property(),
        "data": Property(kind=dict),
        "includeShadowMetadata": Property(kind=bool),
        "priority": Property(kind=float),
        "privateRouting": Property(kind=bool),
        "settings": Property(kind=dict, computed=True),
        "tags": Property(kind=list, computed=True),
    }
    outputs: ClassVar = {
        "commentModifiedOn": Property(),
        "createdOn": Property(),
        "meta": Property(),
        "modifiedOn": Property(),
        "proxiable": Property(kind=bool),
        "tagsModifiedOn": Property(),
    }

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from _odd(news)

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        if inputs["proxied"] and inputs["ttl"] != AUTOMATIC:
            raise ApiError(
                "ttl must be set to 1 when `proxied` is true: When a DNS record is marked as `proxied` the TTL must be "
                "1 as Cloudflare will control the TTL internally."
            )
        id = api.identifier()
        time = now()
        outputs = {
            **inputs,
            "createdOn": time,
            "modifiedOn": time,
            "meta": "{}",
            "proxiable": inputs["type"] in _PROXIABLE,
        }
        return id, self._put(id, "POST", outputs, (name, inputs))

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        kept = {name: value for name, value in old_outputs.items() if name in self.outputs}
        return self._put(id, "PUT", {**kept, **inputs, "modifiedOn": now()})

    def _delete(self, id: str) -> None:
        super()._delete(id)
        api.publish(self.world)

    def identity(self, import_id: str) -> str:
        return import_id.rpartition("/")[2]  # of <zone id>/<record id>

    def read(self, id: str, outputs: Props) -> Props | None:
        """A short name comes back as the full one."""
        found = super().read(self.identity(id), outputs)
        if found is None:
            return None
        record = self.world.store.get(self.collection, self.identity(id))
        assert record is not None
        return {**found, "name": record["name"]}

    def _put(self, id: str, method: str, outputs: Props, made_from: tuple[str, Props] | None = None) -> Props:
        zone_id = outputs["zoneId"]
        path = "dns_records" if method == "POST" else f"dns_records/{id}"
        zone = api.zone_name(self.world, zone_id, method, path)
        facts = {
            "zone_id": zone_id,
            "name": _full_name(outputs["name"], zone),
            "type": outputs["type"],
            "content": outputs.get("content"),
            "proxied": outputs["proxied"],
            "ttl": outputs["ttl"],
        }
        with self.world.lock("cloudflare-records"):
            others = {other: kept for other, kept in self.world.store.items(self.collection).items() if other != id}
            if clash := _clash(facts, others):
                refusal = api.refused(method, f"zones/{zone_id}/{path}", clash.code, clash.message)
                raise ApiError(f"{refusal}\n{clash.advice(zone_id)}")
            done = self._keep(id, outputs, made_from, **facts)
        api.publish(self.world)
        return done


class GetDnsRecords(Function):
    """By the zone and an exact name.

    Source: terraform-provider-cloudflare v5, internal/services/dns_record/list_data_source_schema.go.
    """

    token = "cloudflare:index/getDnsRecords:getDnsRecords"

    def invoke(self, args: Props) -> Props:
        authenticate("cloudflare")
        given = {name: value for name, value in args.items() if value is not None}
        if given.keys() != {"zoneId", "name"} or given["name"].keys() != {"exact"}:
            raise ApiError("records are looked up by zoneId and name.exact here; nothing else is rehearsed")
        api.zone_name(self.world, given["zoneId"], "GET", "dns_records")
        found = [
            {**kept["outputs"], "id": id, **{name: kept.get(name) for name in ("name", "type", "content", "proxied")}}
            for id, kept in self.world.store.items(DnsRecord.collection).items()
            if (kept["zone_id"], kept["name"]) == (given["zoneId"], given["name"]["exact"])
        ]
        return {**given, "results": found}


def _full_name(name: str, zone: str) -> str:
    """Raises ApiError for the name of another zone, which Cloudflare would make a subdomain of this one."""
    name = name.rstrip(".").lower()
    if name == "@":
        return zone
    if name == zone or name.endswith(f".{zone}"):
        return name
    if "." in name:
        raise ApiError(f"{name!r} is not in the zone {zone}: Cloudflare would make it {name}.{zone}")
    return f"{name}.{zone}"


@dataclass(frozen=True, kw_only=True)
class Clash:
    """Cloudflare's refusal of a record, and the record (its id) that is in the way."""

    code: int
    message: str
    id: str
    other: Props

    def advice(self, zone_id: str) -> str:
        """What to do, which Cloudflare does not say: a record of the same type can be taken over."""
        there = f"{self.other['name']} has the {self.other['type']} record {self.other['content']}"
        if self.code != _IDENTICAL:
            return f"{there}; do: delete it, and run this again"
        token = "cloudflare:index/dnsRecord:DnsRecord"
        return f"{there}; do: `pulumi import {token} <this name> {zone_id}/{self.id}` to take it over, or delete it"


def _clash(record: Props, others: dict[str, Props]) -> Clash | None:
    same_name = {id: other for id, other in others.items() if other["name"] == record["name"]}
    for id, other in same_name.items():
        if (other["type"], canonical(other["content"])) == (record["type"], canonical(record["content"])):
            return Clash(code=_IDENTICAL, message="An identical record already exists.", id=id, other=other)
    for id, other in same_name.items():
        if record["type"] == "CNAME" and other["type"] in ("A", "AAAA", "CNAME"):
            message = "An A, AAAA, or CNAME record with that host already exists."
            return Clash(code=81053, message=message, id=id, other=other)
        if record["type"] in ("A", "AAAA") and other["type"] == "CNAME":
            message = "A CNAME record with that host already exists."
            return Clash(code=81054, message=message, id=id, other=other)
    return None


def _odd(news: Props) -> Iterator[Failure]:
    kind, content, ttl, name = (news.get(field) for field in ("type", "content", "ttl", "name"))
    if known(kind) and kind not in TYPES:
        yield Failure("type", f"{kind} is not rehearsed, only {', '.join(TYPES)}")
    if content is None:
        yield Failure("content", "is required and was not given")
    elif known(kind, content):
        yield from _odd_content(str(kind), str(content))
    if isinstance(ttl, int | float) and ttl != AUTOMATIC and not 60 <= ttl <= 86400:
        yield Failure("ttl", f"Invalid TTL. Must be between 60 and 86,400 seconds, or 1 for Automatic. (9021) {ttl}")
    if news.get("proxied") is True and known(kind) and kind not in _PROXIABLE:
        yield Failure("proxied", f"This DNS record cannot be proxied. (9041) A {kind} record")
    if known(name) and (not name or len(str(name)) > 255 or set(str(name)) & set(" /:?#")):
        yield Failure("name", f"DNS name is invalid. (9000) {name!r}")
    if known(news.get("comment")) and len(news["comment"]) > 100:
        yield Failure("comment", "DNS record comment is too long: at most 100 characters in the Free plan")


def _odd_content(kind: str, content: str) -> Iterator[Failure]:
    families = {"A": (9005, ipaddress.IPv4Address), "AAAA": (9006, ipaddress.IPv6Address)}
    if kind in families:
        code, family = families[kind]
        try:
            family(content)
        except ValueError:
            number = family.__name__[2:4]
            yield Failure(
                "content", f"Content for {kind} record must be a valid IP{number} address. ({code}) {content!r}"
            )
    elif not content:
        yield Failure("content", f"Content for {kind} record is invalid. (9007)")
