"""What DigitalOcean sells: sizes and regions by their slugs."""

from __future__ import annotations

import functools
import importlib.util
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

IMAGE: Final = "debian-13-x64"

# Disk in GB and price per month in US dollars of the sizes that this project is for.
# https://www.digitalocean.com/pricing/droplets, November 2026.
_BASIC: Final = {
    "s-1vcpu-512mb-10gb": (10, 4.0),
    "s-1vcpu-1gb": (25, 6.0),
    "s-1vcpu-1gb-amd": (25, 7.0),
    "s-1vcpu-1gb-intel": (25, 7.0),
    "s-1vcpu-2gb": (50, 12.0),
    "s-1vcpu-2gb-amd": (50, 14.0),
    "s-1vcpu-2gb-intel": (50, 14.0),
    "s-2vcpu-2gb": (60, 18.0),
    "s-2vcpu-2gb-amd": (60, 21.0),
    "s-2vcpu-2gb-intel": (60, 21.0),
    "s-2vcpu-4gb": (80, 24.0),
    "s-2vcpu-4gb-amd": (80, 28.0),
    "s-2vcpu-4gb-intel": (80, 28.0),
    "s-4vcpu-8gb": (160, 48.0),
    "s-4vcpu-8gb-amd": (160, 56.0),
    "s-4vcpu-8gb-intel": (160, 56.0),
    "s-8vcpu-16gb": (320, 96.0),
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """memory in MB, disk in GB, price in US dollars a month; None where this catalog does not know it."""

    slug: str
    vcpus: int | None
    memory: int | None
    disk: int | None
    price: float | None


@functools.cache
def sizes() -> tuple[str, ...]:
    """Every size's slug, as in the SDK's DropletSlug."""
    return _values("DropletSlug")


@functools.cache
def regions() -> tuple[str, ...]:
    """Every region's slug, as in the SDK's Region."""
    return _values("Region")


def size(slug: str) -> Size:
    vcpus, memory = re.search(r"-(\d+)vcpu", slug), re.search(r"vcpu-(\d+)(gb|mb)", slug)
    disk, price = _BASIC.get(slug, (None, None))
    return Size(
        slug=slug,
        vcpus=int(vcpus[1]) if vcpus else None,
        memory=int(memory[1]) * (1024 if memory[2] == "gb" else 1) if memory else None,
        disk=disk,
        price=price,
    )


def _values(enum: str) -> tuple[str, ...]:
    # The module alone: the package's own import takes a second. https://github.com/pulumi/pulumi-digitalocean
    package = importlib.util.find_spec("pulumi_digitalocean")
    assert package and package.origin
    spec = importlib.util.spec_from_file_location("_digitalocean_enums", Path(package.origin).with_name("_enums.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    members: type[Enum] = getattr(module, enum)
    return tuple(member.value for member in members)
