"""What AWS offers, from botocore's own data: regions, instance types, and Debian's images."""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Any, Final

from botocore.loaders import Loader

from rehearsal.providers.base import UNKNOWN, ApiError, Failure, Props

ACCOUNT: Final = "123456789012"
MOST_TAGS: Final = 50
HOME_REGION: Final = "us-east-1"  # where nothing says otherwise
ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "arm64"}  # Debian's names and EC2's
_PARAMETER = re.compile(r"/aws/service/debian/release/13/latest/(amd64|arm64)")


@functools.cache
def regions() -> tuple[str, ...]:
    partition = Loader().load_data("endpoints")["partitions"][0]
    return tuple(partition["regions"])


@functools.cache
def instance_types() -> frozenset[str]:
    return frozenset(_ec2()["shapes"]["InstanceType"]["enum"])


def region(props: Props) -> str:
    """The region that a resource or invoke is for. Raises ApiError for one that does not exist."""
    name = props.get("region") or HOME_REGION
    if name not in regions():
        raise ApiError(_no_region(name))
    return name


def odd_region(props: Props) -> list[Failure]:
    """What is wrong with a resource's own `region`."""
    name = props.get("region")
    if isinstance(name, str) and name not in regions():
        return [Failure("region", _no_region(name))]
    return []


def odd_tags(props: Props, *names: str) -> list[Failure]:
    """What is wrong with tags: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions"""
    found: list[Failure] = []
    for name in names:
        tags = props.get(name)
        if not isinstance(tags, dict):
            continue
        if len(tags) > MOST_TAGS:
            found.append(Failure(name, f"TagLimitExceeded: a resource has at most {MOST_TAGS} tags, not {len(tags)}"))
        for key, value in tags.items():
            if not 0 < len(key) <= 128:
                found.append(Failure(name, f"InvalidParameterValue: a tag's key is 1 to 128 characters: {key!r}"))
            if key.lower().startswith("aws:"):
                found.append(
                    Failure(name, f"InvalidParameterValue: Tag keys starting with 'aws:' are reserved: {key!r}")
                )
            if value is not UNKNOWN and (not isinstance(value, str) or len(value) > 256):
                found.append(Failure(name, f"InvalidParameterValue: a tag's value is at most 256 characters: {key!r}"))
    return found


def architecture(instance_type: str) -> str:
    """x86_64 or arm64: Graviton's families have a g after their generation, and a1 was the first of them."""
    family = instance_type.partition(".")[0]
    return "arm64" if family == "a1" or re.match(r"[a-z]+\d+g", family) else "x86_64"


def image(parameter: str, region: str) -> str | None:
    """The image id under one of Debian's public SSM parameters. https://wiki.debian.org/Cloud/AmazonEC2Image"""
    match = _PARAMETER.fullmatch(parameter)
    return _image(match[1], region) if match else None


def image_architecture(image_id: str, region: str) -> str | None:
    """The architecture of an image, or None when the region has no such image."""
    return next((theirs for ours, theirs in ARCHITECTURES.items() if _image(ours, region) == image_id), None)


def identifier(prefix: str, *seed: str) -> str:
    """An id as EC2 makes them: the prefix and 17 hex digits, the same ones for the same seed."""
    return f"{prefix}-{hashlib.sha256('/'.join(seed).encode()).hexdigest()[:17]}"


def arn(service: str, region: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


def _image(architecture: str, region: str) -> str:
    return identifier("ami", "debian-13", architecture, region)


def _no_region(name: str) -> str:
    return f"invalid AWS Region: {name}; known ones: {', '.join(regions())}"


@functools.cache
def _ec2() -> dict[str, Any]:
    return Loader().load_service_model("ec2", "service-2")
