"""From checked settings to one Site: looks up what must be known first, then declares it.

Called by the program (__main__.py) and by the package for other languages (package/), which differ only in where the
settings and secrets are read from.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_random as random
from cryptography import x509

import settings as declared
from components.droplet_host import require_sold
from components.ec2_host import Ec2HostArgs, place
from components.host import HostArgs, Opening
from components.lookup import LookupFailed, asking
from components.other_records import refuse_other_records
from components.sdk import AwsProvider, GetZoneFilterArgs, get_ip_ranges, get_zone
from components.site import AppArgs, Site, SiteArgs
from provisioning import app, host, inspection, origin, ranges, shapes
from settings.fields import CURRENT, Refused, entrypoint, remote


class AddressUnknown(ValueError):
    """`current` was asked for and nobody could say what it is."""


REFUSALS = (
    declared.SettingsError,
    app.AppRefused,
    ranges.RangesRefused,
    host.UserDataTooLarge,
    LookupFailed,
    AddressUnknown,
)
"""What the user can mend. The text says all of it, one problem a line; a traceback would only bury it."""


def operator_address(settings: declared.Settings) -> str | None:
    """The range that `current` stands for: the address this program is run from. None where nobody asks for it.

    OPERATOR_ADDRESS answers where Cloudflare's own "who am I" page can't be asked.
    """
    if CURRENT not in settings.operator.ranges:
        return None
    network = ipaddress.ip_network(os.environ.get("OPERATOR_ADDRESS") or _address_seen_by_cloudflare())
    pulumi.log.info(f"operator.ranges: current is {network}")
    return str(network)


def operator_ranges(settings: declared.Settings, address: str | None) -> tuple[str, ...]:
    """The ranges that reach SSH, `current` replaced by the operator's address."""
    named = tuple(cidr for cidr in settings.operator.ranges if cidr != CURRENT)
    return named if address is None else (*named, address)


def _address_seen_by_cloudflare() -> str:
    try:
        with urllib.request.urlopen("https://www.cloudflare.com/cdn-cgi/trace", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(line.removeprefix("ip=") for line in lines if line.startswith("ip="))
    except (OSError, StopIteration) as error:
        raise AddressUnknown(
            f"operator.ranges: {CURRENT} could not be found out ({error}); write the address, or set OPERATOR_ADDRESS"
        ) from None


def cloudflare_ranges() -> ranges.CloudflareRanges:
    """Cloudflare's published ranges; the committed ones when the lookup fails. An odd answer is an error."""
    try:
        answer = get_ip_ranges()
    except Exception as error:
        pulumi.log.warn(f"Cloudflare's ranges could not be looked up ({error}); the committed list is used")
        return ranges.FALLBACK
    return ranges.checked(answer.ipv4_cidrs, answer.ipv6_cidrs)


def openings(edge: ranges.CloudflareRanges, operator: tuple[str, ...]) -> tuple[Opening, ...]:
    """All that the cloud's firewall lets in."""
    return (
        Opening(port=443, ipv4=edge.ipv4, ipv6=edge.ipv6, why="Cloudflare"),
        Opening(
            port=22,
            ipv4=[cidr for cidr in operator if ":" not in cidr],
            ipv6=[cidr for cidr in operator if ":" in cidr],
            why="Operator",
        ),
    )


def host_args(
    name: str, settings: declared.Settings, allowed: tuple[Opening, ...], opts: pulumi.ResourceOptions
) -> tuple[HostArgs, str, pulumi.ProviderResource | None]:
    """The host's arguments, its bootstrap's hash, and the provider that only AWS needs (its region is a setting)."""
    wanted = settings.host
    user_data = host.user_data(cloud=wanted.cloud, proxy=settings.proxy.kind)
    common: dict[str, Any] = {
        "region": wanted.region,
        "size": wanted.size,
        "user_data": user_data,
        "openings": allowed,
        "replace_on_bootstrap_change": wanted.on_bootstrap_change == "replace",
    }
    digest = host.bootstrap_hash(user_data)
    if isinstance(wanted, declared.Droplet):
        require_sold(region=wanted.region, size=wanted.size)
        return HostArgs(**common), digest, None
    provider = AwsProvider(f"{name}-aws", region=wanted.region, opts=_formerly("aws", opts))
    placement = place(
        architecture=wanted.architecture,
        vpc_id=wanted.vpc_id,
        subnet_id=wanted.subnet_id,
        opts=pulumi.InvokeOptions(provider=provider),
    )
    return Ec2HostArgs(**common, placement=placement), digest, provider


def client_ca(path: str | None, folder: Path) -> str | None:
    """The zone's client CA (PEM) when another stack owns it."""
    if path is None:
        return None
    try:
        text = (folder / path).read_text()
        x509.load_pem_x509_certificate(text.encode())
    except (OSError, ValueError) as error:
        raise declared.SettingsError(
            [f'edge.client_ca: "{path}" is not a PEM certificate ({error}); do: write the path of one']
        ) from None
    return text


def app_code(settings: declared.App, folder: Path) -> tuple[app.Code, str]:
    """The app's code, looked over and packed, or for the host to fetch; and its entrypoint."""
    if remote(settings.source):
        assert settings.entrypoint, "the settings see to it"
        return app.AppOnTheWeb(url=settings.source, sha256=settings.sha256), settings.entrypoint
    source = folder / settings.source
    name = settings.entrypoint or found_entrypoint(source)
    inspection.inspect(source, name, app.versions(settings.server), files=app.files(settings))
    for line in shapes.notices(source):
        pulumi.log.info(line)
    return app.archive(source, folder / ".releases", exclude=settings.exclude), name


def found_entrypoint(source: Path) -> str:
    """What the app's files for another platform say, held against the same rules as the setting."""
    found = shapes.entrypoint(source)
    try:
        taken = entrypoint(found)
    except Refused as refused:
        raise inspection.AppRefused("app.entrypoint", f"is missing, and the app's own files say {refused}") from None
    pulumi.log.info(f"app.entrypoint: {taken}, as the app's own files say")
    return taken


def environment(
    name: str, settings: declared.Settings, secrets: Mapping[str, pulumi.Input[str]], opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Input[str]]:
    """The app's environment. SECRET_KEY is made here, 64 characters, when there is none."""
    values = {**settings.app.environment, **secrets}
    if "SECRET_KEY" not in values:
        key = random.RandomPassword(f"{name}-secret-key", length=64, special=False, opts=_formerly("secret-key", opts))
        values["SECRET_KEY"] = key.result
    return values


def _formerly(name: str, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Options for what stacks made before the package have under a name that only one site can have."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name)]))


def site(
    name: str,
    settings: declared.Settings,
    secrets: Mapping[str, pulumi.Input[str]],
    *,
    folder: Path,
    address: str | None,
    opts: pulumi.ResourceOptions | None = None,
) -> Site:
    """Declare the site. Relative paths in the settings lead from `folder`, where the app's archives are kept too.

    `secrets` are the app's, checked, by name; `address` is the operator's (`operator_address`).
    Raises one of REFUSALS before anything is made.
    """
    opts = opts or pulumi.ResourceOptions()
    for line in declared.notices(settings):
        pulumi.log.info(line)
    code, app_entrypoint = app_code(settings.app, folder)
    edge_ranges = cloudflare_ranges()
    with asking("site.zone", f"correct {settings.site.zone}, or let CLOUDFLARE_API_TOKEN read that zone"):
        zone = get_zone(filter=GetZoneFilterArgs(name=settings.site.zone, match="all"))
    hostnames = (settings.site.hostname, *settings.site.redirects)
    refuse_other_records(f"{name}-edge", zone_id=zone.zone_id, hostnames=hostnames)
    host_settings, bootstrap_hash, provider = host_args(
        name, settings, openings(edge_ranges, operator_ranges(settings, address)), opts
    )
    return Site(
        name,
        SiteArgs(
            hostname=settings.site.hostname,
            redirects=settings.site.redirects,
            zone_id=zone.zone_id,
            host=host_settings,
            bootstrap_hash=bootstrap_hash,
            files=origin.configuration(
                hostname=settings.site.hostname,
                redirects=settings.site.redirects,
                ranges=edge_ranges,
                proxy=origin.ProxyOptions(
                    kind=settings.proxy.kind,
                    max_body=settings.proxy.max_body,
                    header_timeout=settings.proxy.timeouts.header,
                    body_timeout=settings.proxy.timeouts.body,
                    response_timeout=settings.proxy.timeouts.response,
                    idle_timeout=settings.proxy.timeouts.idle,
                    buffer_uploads=settings.proxy.buffer_uploads,
                    uwsgi=isinstance(settings.app.server, declared.Uwsgi) and settings.app.server.protocol == "uwsgi",
                    health_path=settings.app.health.path,
                    static=tuple(app.static(settings.app, app_entrypoint)),
                    uploads=settings.app.uploads,
                ),
            ),
            authorized_keys=settings.operator.ssh_keys,
            app=AppArgs(
                archive=code.path,
                source=code.source,
                manifest=app.manifest(code, settings.app, app_entrypoint, settings.site.hostname),
                environment=environment(name, settings, secrets, opts),
            ),
            drain=settings.app.drain,
            certificate_days=settings.edge.certificate_days,
            minimum_tls=settings.edge.minimum_tls,
            hotlink_protection=settings.edge.hotlink_protection,
            manage_zone_settings=settings.edge.manage_zone_settings,
            at_destroy=settings.edge.at_destroy,
            purge_after_release=settings.edge.purge_after_release,
            client_ca=client_ca(settings.edge.client_ca, folder),
        ),
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[provider] if provider else None)),
    )
