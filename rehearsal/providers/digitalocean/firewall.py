"""digitalocean:index:Firewall."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from rehearsal.providers.account import Stored
from rehearsal.providers.base import ApiError, Failure, Property, Props
from rehearsal.providers.digitalocean import protection, tags
from rehearsal.providers.shapes import as_list, each, known, not_rehearsed, now, physical_name, words

# https://docs.digitalocean.com/products/networking/firewalls/details/limits/
MOST_RULES: Final = 50
MOST_DROPLETS: Final = 10
MOST_TAGS: Final = 5
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]+")


def _rule_table(side: str) -> dict[str, Property]:
    return {
        "protocol": Property(required=True, choices=("tcp", "udp", "icmp")),
        "portRange": Property(),
        "action": Property(choices=("allow",)),  # "deny" is not rehearsed
        f"{side}Addresses": Property(kind=list),
        f"{side}DropletIds": Property(kind=list),
        f"{side}Tags": Property(kind=list),
        f"{side}LoadBalancerUids": Property(kind=list),
        f"{side}KubernetesIds": Property(kind=list),
    }


INBOUND: Final = _rule_table("source")
OUTBOUND: Final = _rule_table("destination")


class Firewall(Stored):
    """Source: terraform-provider-digitalocean, digitalocean/firewall/{firewalls,resource_firewall}.go, and the API's
    limits and wording. What it guards is open again when it is deleted, as there."""

    token = "digitalocean:index/firewall:Firewall"
    cloud = "digitalocean"
    collection = protection.FIREWALLS
    sets = ("inboundRules", "outboundRules", "tags", "dropletIds")
    inputs: ClassVar = {
        "name": Property(),
        "inboundRules": Property(kind=list),
        "outboundRules": Property(kind=list),
        "tags": Property(kind=list),
        "dropletIds": Property(kind=list),
    }
    outputs: ClassVar = {
        "status": Property(),
        "createdAt": Property(),
        "pendingChanges": Property(kind=list),
    }

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from tags.refused("tags", news.get("tags"))
        yield from _odd_rules("inboundRules", news.get("inboundRules"), "source", INBOUND)
        yield from _odd_rules("outboundRules", news.get("outboundRules"), "destination", OUTBOUND)
        yield from _too_many(news)

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        outputs = {"name": physical_name(name), **inputs}
        if any(kept["outputs"]["name"] == outputs["name"] for kept in self.world.store.items(self.collection).values()):
            raise ApiError("Error creating firewall: 409 duplicate name")
        return (id := str(uuid.uuid4())), self._put(id, {**outputs, "createdAt": now()}, (name, inputs))

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        kept = {name: old_outputs[name] for name in ("name", "createdAt")}
        return self._put(id, {**kept, **inputs})

    def _delete(self, id: str) -> None:
        super()._delete(id)
        protection.apply(self.world)

    def _put(self, id: str, outputs: Props, made_from: tuple[str, Props] | None = None) -> Props:
        self._refuse_missing(outputs)
        facts = {
            "tags": outputs.get("tags") or [],
            "droplet_ids": outputs.get("dropletIds") or [],
            "inbound": [_fact(rule, "source") for rule in outputs.get("inboundRules") or ()],
            "outbound": [_fact(rule, "destination") for rule in outputs.get("outboundRules") or ()],
        }
        done = self._keep(id, {**outputs, "status": "succeeded", "pendingChanges": []}, made_from, **facts)
        protection.apply(self.world)
        return done

    def _refuse_missing(self, outputs: Props) -> None:
        """Unlike a droplet's, a firewall's tags and droplets have to exist."""
        named = [*(outputs.get("tags") or ()), *_peers(outputs, "Tags")]
        ids = [*(outputs.get("dropletIds") or ()), *_peers(outputs, "DropletIds")]
        for tag in named:
            if self.world.store.get(tags.COLLECTION, tag) is None:
                raise ApiError(f"Error in firewall request: 422 tag {tag} does not exist")
        for id in ids:
            if self.world.store.get(protection.DROPLETS, str(id)) is None:
                raise ApiError(f"Error in firewall request: 422 droplet {id} not found")


def _peers(outputs: Props, kind: str) -> Iterator[Any]:
    for rules, side in (("inboundRules", "source"), ("outboundRules", "destination")):
        for rule in outputs.get(rules) or ():
            yield from rule.get(f"{side}{kind}") or ()


def _fact(rule: Props, side: str) -> dict[str, Any]:
    return {
        "protocol": rule["protocol"],
        "ports": port_range(rule.get("portRange") or "all"),
        "addresses": rule.get(f"{side}Addresses") or [],
        "droplet_ids": rule.get(f"{side}DropletIds") or [],
        "tags": rule.get(f"{side}Tags") or [],
    }


def port_range(text: str) -> tuple[int, int] | None:
    """First and last port, or None for all of them. Raises ValueError."""
    if text in ("all", "0"):
        return None
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last < 65536:
        raise ValueError(f"invalid ports: {text!r} is no port, no range such as 8000-9000 and not 'all'")
    return first, last


def _odd_rules(path: str, rules: Any, side: str, table: dict[str, Property]) -> Iterator[Failure]:
    if wrong := [*each(path, rules, table)]:
        yield from wrong
        return
    for index, rule in enumerate(as_list(rules)):
        if not isinstance(rule, dict):
            continue
        where = f"{path}[{index}]"
        for failure in not_rehearsed(rule, [f"{side}LoadBalancerUids", f"{side}KubernetesIds"]):
            yield Failure(f"{where}.{failure.property}", failure.reason)
        yield from _odd_ports(where, rule)
        yield from tags.refused(f"{where}.{side}Tags", rule.get(f"{side}Tags"))
        yield from words(f"{where}.{side}Addresses", rule.get(f"{side}Addresses"))
        for address in as_list(rule.get(f"{side}Addresses")):
            try:
                if isinstance(address, str) and address:
                    ipaddress.ip_network(address)
            except ValueError as odd:
                yield Failure(f"{where}.{side}Addresses", f"invalid address: {odd}")
        if not any(rule.get(f"{side}{kind}") for kind in ("Addresses", "DropletIds", "Tags")):
            yield Failure(where, f"must specify at least one of {side}Addresses, {side}DropletIds and {side}Tags")


def _odd_ports(where: str, rule: Props) -> Iterator[Failure]:
    ports = rule.get("portRange")
    if not ports:
        if rule.get("protocol") in ("tcp", "udp"):
            yield Failure(where, "`port_range` is required if protocol is `tcp` or `udp`")
    elif isinstance(ports, str):
        try:
            port_range(ports)
        except ValueError as odd:
            yield Failure(f"{where}.portRange", str(odd))


def _too_many(news: Props) -> Iterator[Failure]:
    inbound, outbound = news.get("inboundRules"), news.get("outboundRules")
    if not inbound and not outbound:
        yield Failure("inboundRules", "At least one rule must be specified")
    total = len(as_list(inbound)) + len(as_list(outbound))
    if total > MOST_RULES:
        yield Failure("inboundRules", f"a firewall has at most {MOST_RULES} rules in both directions, not {total}")
    for name, most in (("tags", MOST_TAGS), ("dropletIds", MOST_DROPLETS)):
        if len(as_list(news.get(name))) > most:
            yield Failure(name, f"a firewall has at most {most} of them, not {len(news[name])}")
    if known(news.get("name")) and not _NAME.fullmatch(news["name"]):
        yield Failure("name", f"must be letters, digits, dots and dashes, a letter or digit first: {news['name']!r}")
