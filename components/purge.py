"""Cloudflare's cache of the site, emptied once a release is live."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from components.zone_before import INTERPRETER


@dataclass(frozen=True, kw_only=True)
class PurgeArgs:
    """The zone (its id), the hostnames whose cache is emptied, and what is another text after each release."""

    zone_id: str
    hosts: Sequence[str]
    release: pulumi.Input[str]


class Purge(pulumi.ComponentResource):
    """Purges after each release that `up` makes. A rollback on the host is not seen here.

    When Cloudflare refuses, `up` fails with the release live, and the next one tries again.
    """

    def __init__(
        self,
        name: str,
        args: PurgeArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("flask-origin:purge:Purge", name, {}, opts)
        local.Command(
            f"{name}-purged",
            interpreter=INTERPRETER,
            create="purge",
            environment={"ZONE": args.zone_id, "HOSTS": json.dumps([*args.hosts])},
            triggers=[args.release],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*after]),
        )
        self.register_outputs({})
