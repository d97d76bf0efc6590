"""One site: an app on a host of its own that only its own Cloudflare zone can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pulumi
import pulumi_tls as tls

from components.bootstrap import Bootstrap, BootstrapArgs
from components.droplet_host import DropletHost
from components.ec2_host import Ec2Host, Ec2HostArgs
from components.edge import Edge, EdgeArgs, zone_settings
from components.host import Host, HostArgs
from components.origin import Origin, OriginArgs
from components.origin_certificate import OriginCertificate, OriginCertificateArgs
from components.origin_pulls import OriginPulls, OriginPullsArgs
from components.purge import Purge, PurgeArgs
from components.release import Release, ReleaseArgs
from components.verified_origin import VerifiedOrigin, VerifiedOriginArgs
from components.zone_before import ZoneBefore, ZoneBeforeArgs


@dataclass(frozen=True, kw_only=True)
class AppArgs:
    """The app's archive (a local file; None when the host fetches it), its manifest, and its environment."""

    archive: Path | None
    source: str
    manifest: Mapping[str, Any]
    environment: Mapping[str, pulumi.Input[str]] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SiteArgs:
    """All plain values but the environment.

    `host` is Ec2HostArgs for AWS, HostArgs for DigitalOcean; its public key is filled in here.
    """

    hostname: str
    redirects: Sequence[str] = ()
    zone_id: str
    host: HostArgs
    bootstrap_hash: str
    files: Mapping[str, str]
    """What the proxy and the host's firewall are told: rendered, public, by name."""
    authorized_keys: Sequence[str] = ()
    app: AppArgs
    drain: int = 30
    """Seconds that a host has to finish its requests once another has taken its place."""
    certificate_days: int = 5475
    minimum_tls: str = "1.2"
    hotlink_protection: bool | None = None
    """Whether Cloudflare refuses images to other sites' pages; None leaves it as it is in the zone."""
    manage_zone_settings: bool = True
    at_destroy: Literal["keep", "restore"] = "keep"
    """What destroy does to the zone's settings."""
    purge_after_release: bool = False
    """Whether Cloudflare's cache of the hostname is emptied once a release is live."""
    client_ca: str | None = None
    """PEM. The CA of the zone's client certificate when another stack made it; None makes and uploads one."""


class Site(pulumi.ComponentResource):
    """The order is the promise: firewall, host, origin pulls on, origin demands them, release, proof, record."""

    def __init__(self, name: str, args: SiteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:site:Site", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        hostnames = [args.hostname, *args.redirects]

        deploy_key = tls.PrivateKey(f"{name}-deploy-key", algorithm="ED25519", opts=inside)
        host_args = replace(args.host, public_key=deploy_key.public_key_openssh)
        host: Host = (
            Ec2Host(f"{name}-host", host_args, inside)
            if isinstance(host_args, Ec2HostArgs)
            else DropletHost(f"{name}-host", host_args, inside)
        )
        certificate = OriginCertificate(
            f"{name}-certificate",
            OriginCertificateArgs(hostnames=hostnames, days=args.certificate_days),
            inside,
        )
        owned = {}
        if args.manage_zone_settings:
            owned = zone_settings(minimum_tls=args.minimum_tls, hotlink_protection=args.hotlink_protection)
        before = ZoneBefore(
            f"{name}-zone-before",
            ZoneBeforeArgs(
                zone_id=args.zone_id,
                settings=owned,
                origin_pulls=args.client_ca is None,
                at_destroy=args.at_destroy,
            ),
            inside,
        )
        pulls = None
        if args.client_ca is None:
            pulls = OriginPulls(
                f"{name}-pulls",
                OriginPullsArgs(zone_id=args.zone_id, hostname=args.hostname),
                inside,
                before=before.remembered,
            )
        self.client_ca: pulumi.Input[str] = pulls.ca if pulls else args.client_ca or ""
        bootstrap = Bootstrap(
            f"{name}-bootstrap",
            BootstrapArgs(
                host=host,
                private_key=deploy_key.private_key_openssh,
                expected=args.bootstrap_hash if args.host.replace_on_bootstrap_change else None,
            ),
            inside,
        )
        origin = Origin(
            f"{name}-origin",
            OriginArgs(
                connection=bootstrap.connection,
                host_id=host.host_id,
                files=args.files,
                authorized_keys=args.authorized_keys,
                certificate=certificate.certificate,
                private_key=certificate.private_key,
                client_ca=self.client_ca,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[bootstrap.tools, *([pulls.enabled] if pulls else [])]),
        )
        release = Release(
            f"{name}-release",
            ReleaseArgs(
                connection=bootstrap.connection,
                host_id=host.host_id,
                archive=args.app.archive,
                source=args.app.source,
                manifest=args.app.manifest,
                environment=args.app.environment,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[bootstrap.tools]),
        )
        verified = VerifiedOrigin(
            f"{name}-verified",
            VerifiedOriginArgs(
                connection=bootstrap.connection,
                host_id=host.host_id,
                hostname=args.hostname,
                leaf=certificate.certificate,
                client_certificate=pulls.client_certificate if pulls else None,
                client_key=pulls.client_key if pulls else None,
                configuration=origin.summary,
            ),
            inside,
        )
        edge = Edge(
            f"{name}-edge",
            EdgeArgs(
                zone_id=args.zone_id,
                hostnames=hostnames,
                ipv4=host.ipv4,
                ipv6=host.ipv6,
                host_id=host.host_id,
                drain=args.drain,
                zone_settings=owned,
            ),
            inside,
            before=before.remembered,
            after=[verified.proof, release.live],
        )
        if args.purge_after_release:
            Purge(
                f"{name}-purge",
                PurgeArgs(zone_id=args.zone_id, hosts=[args.hostname], release=release.summary),
                inside,
                after=[release.live, edge],
            )
        self.url = edge.url
        self.ipv4 = host.ipv4
        self.ipv6 = host.ipv6
        self.host_id = host.host_id
        self.host_key = bootstrap.host_key
        self.deploy_key: pulumi.Output[str] = deploy_key.private_key_openssh
        self.certificate_expires: pulumi.Output[str] = certificate.expires_on
        self.register_outputs({"url": self.url})
