"""The app's own life on the host: its code, activated blue/green by the host's release tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi_command import remote


@dataclass(frozen=True, kw_only=True)
class ReleaseArgs:
    """`archive` is a local file to upload; `manifest` is what `release deploy` reads, without its environment."""

    connection: remote.ConnectionArgs
    host_id: pulumi.Input[str]
    archive: Path | None
    """None when the manifest says where the host fetches it."""
    source: str
    """12 hex digits that name the code."""
    manifest: Mapping[str, Any]
    environment: Mapping[str, pulumi.Input[str]] = field(repr=False)


class Release(pulumi.ComponentResource):
    """Uploads the archive, if any, then switches. A release that fails leaves the old one serving and says why."""

    def __init__(self, name: str, args: ReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:release:Release", name, {}, opts)
        uploaded: list[pulumi.Resource] = []
        if args.archive:
            copy = remote.CopyToRemote(
                f"{name}-archive",
                connection=args.connection,
                source=pulumi.FileAsset(str(args.archive)),
                remote_path=args.manifest["archive"],
                triggers=[args.host_id],
                opts=pulumi.ResourceOptions(parent=self),
            )
            uploaded.append(copy)
        manifest = pulumi.Output.json_dumps({**args.manifest, "environment": {**args.environment}})
        live = remote.Command(
            f"{name}-live",
            connection=args.connection,
            create="sudo /usr/local/sbin/release deploy",
            stdin=pulumi.Output.secret(manifest),
            triggers=[args.host_id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=uploaded),
        )
        self.live: pulumi.Resource = live
        self.summary: pulumi.Output[str] = live.stdout
        """What the release tool said: it names the release."""
        self.register_outputs({"source": args.source})
