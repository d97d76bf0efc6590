"""What every host offers to the rest of the site, whichever cloud it stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pulumi


class Host(Protocol):
    """One machine with public addresses, reached by SSH as `deploy`, ready or not."""

    host_id: pulumi.Output[str]
    """The cloud's id; changes when the machine is another one."""
    ipv4: pulumi.Output[str]
    ipv6: pulumi.Output[str] | None
    """None where the host has no public IPv6 address."""
    resource: pulumi.Resource
    """What a resource that needs the machine depends on."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One TCP port of the origin and who may reach it; everything else is closed."""

    port: int
    ipv4: Sequence[str]
    ipv6: Sequence[str]
    why: str
    """Shown in the cloud's console beside the rule."""

    def __post_init__(self) -> None:
        if not (self.ipv4 or self.ipv6):
            raise ValueError(f"port {self.port} ({self.why}) is opened to nobody: an empty list of ranges is refused")
        worldwide = {"0.0.0.0/0", "::/0"} & {*self.ipv4, *self.ipv6}
        if worldwide:
            raise ValueError(f"port {self.port} ({self.why}) is opened to {', '.join(sorted(worldwide))}: refused")


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """What a host is made from, the same on both clouds.

    Sizes and regions are the cloud's own names. `user_data` is plain text without secrets.
    """

    region: str
    size: str
    user_data: str
    openings: Sequence[Opening]
    replace_on_bootstrap_change: bool = True
    """Whether changed user data replaces the host, or is left for the next new one."""
    public_key: pulumi.Input[str] = ""
    """OpenSSH public key that may log in first (a Site fills in its own); later ones are managed on the host."""
