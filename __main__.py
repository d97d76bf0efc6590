"""The program: reads settings and secrets, looks up what must be known first, wires one Site, exports its outputs."""

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
from pulumi.runtime.config import CONFIG

import settings as declared
from components.ec2_host import Ec2HostArgs, place
from components.host import HostArgs, Opening
from components.lookup import LookupFailed, asking
from components.sdk import AwsProvider, GetZoneFilterArgs, get_ip_ranges, get_zone
from components.site import AppArgs, Site, SiteArgs
from provisioning import app, host, origin, ranges
from settings.fields import CURRENT

PROJECT = Path(__file__).resolve().parent
_SECTIONS = tuple(declared.Settings.model_fields)


class AddressUnknown(ValueError):
    """`current` was asked for and nobody could say what it is."""


def read_settings(config: pulumi.Config) -> declared.Settings:
    """Every section of the stack's configuration, checked."""
    return declared.load({**_unknown_sections(), **{name: _section(config, name) for name in _SECTIONS}})


def _section(config: pulumi.Config, name: str) -> object:
    try:
        return config.get_object(name)
    except pulumi.ConfigTypeError:
        return config.get(name)  # text where a section belongs: the settings say so


def _unknown_sections() -> dict[str, object]:
    """What this project's configuration holds beside its sections: a misspelt one, most likely."""
    written = {*CONFIG.get(), *pulumi.runtime.get_config_env()}
    names = {key.partition(":")[2] for key in written if key.partition(":")[0] == pulumi.get_project()}
    return dict.fromkeys(sorted(names - {*_SECTIONS, "secrets"}), "")


def read_secrets(
    config: pulumi.Config, environment: Mapping[str, str]
) -> tuple[dict[str, str], pulumi.Output[Mapping[str, str]]]:
    """The app's secrets: once plain, to be checked and never to be passed on, and once as a secret Output."""
    plain = declared.check_secrets(config.get_object("secrets"), environment)
    if plain and not pulumi.runtime.is_config_secret(f"{pulumi.get_project()}:secrets"):
        raise declared.SettingsError(
            [
                f"secrets: {', '.join(sorted(plain))} stand in plain text in the stack file; do: remove the section, "
                "change those secrets where they come from, then `pulumi config set --secret --path secrets.NAME`"
            ]
        )
    return plain, config.get_secret_object("secrets") or pulumi.Output.secret({})


def operator_ranges(settings: declared.Settings) -> tuple[str, ...]:
    """The ranges that reach SSH, `current` replaced by the address that this program is run from.

    OPERATOR_ADDRESS answers where Cloudflare's own "who am I" page can't be asked.
    """
    if CURRENT not in settings.operator.ranges:
        return settings.operator.ranges
    seen = os.environ.get("OPERATOR_ADDRESS") or _address_seen_by_cloudflare()
    network = ipaddress.ip_network(seen)
    pulumi.log.info(f"operator.ranges: current is {network}")
    return (*(cidr for cidr in settings.operator.ranges if cidr != CURRENT), str(network))


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
    settings: declared.Settings, allowed: tuple[Opening, ...]
) -> tuple[HostArgs, str, pulumi.ProviderResource | None]:
    """The host's arguments, its bootstrap's hash, and the provider that only AWS needs (its region is a setting)."""
    wanted = settings.host
    user_data = host.user_data(cloud=wanted.cloud)
    common: dict[str, Any] = {
        "region": wanted.region,
        "size": wanted.size,
        "user_data": user_data,
        "openings": allowed,
        "replace_on_bootstrap_change": wanted.on_bootstrap_change == "replace",
    }
    digest = host.bootstrap_hash(user_data)
    if isinstance(wanted, declared.Droplet):
        return HostArgs(**common), digest, None
    provider = AwsProvider("aws", region=wanted.region)
    placement = place(
        architecture=wanted.architecture,
        vpc_id=wanted.vpc_id,
        subnet_id=wanted.subnet_id,
        opts=pulumi.InvokeOptions(provider=provider),
    )
    return Ec2HostArgs(**common, placement=placement), digest, provider


def client_ca(path: str | None) -> str | None:
    """The zone's client CA (PEM) when another stack owns it."""
    if path is None:
        return None
    try:
        text = (PROJECT / path).read_text()
        x509.load_pem_x509_certificate(text.encode())
    except (OSError, ValueError) as error:
        raise declared.SettingsError(
            [f'edge.client_ca: "{path}" is not a PEM certificate ({error}); do: write the path of one']
        ) from None
    return text


def environment(
    settings: declared.Settings, secret_names: Mapping[str, str], secrets: pulumi.Output[Mapping[str, str]]
) -> dict[str, pulumi.Input[str]]:
    """The app's environment. SECRET_KEY is made here, 64 characters, when the stack has none."""
    values: dict[str, pulumi.Input[str]] = {**settings.app.environment}
    for name in secret_names:
        values[name] = secrets.apply(lambda all_secrets, name=name: all_secrets[name])
    if "SECRET_KEY" not in values:
        values["SECRET_KEY"] = random.RandomPassword("secret-key", length=64, special=False).result
    return values


def main() -> None:
    """Wire the site."""
    config = pulumi.Config()
    settings = read_settings(config)
    secret_names, secrets = read_secrets(config, settings.app.environment)
    for line in declared.notices(settings):
        pulumi.log.info(line)
    missing = declared.missing_credentials(
        settings.host.cloud, os.environ, lambda key: pulumi.Config(key.split(":")[0]).get(key.split(":")[1]) is not None
    )
    if missing:
        raise declared.SettingsError(missing)

    source = PROJECT / settings.app.source
    app.inspect(source, settings.app.entrypoint)
    archive = app.archive(source, PROJECT / ".releases", exclude=settings.app.exclude)
    edge_ranges = cloudflare_ranges()
    with asking("site.zone", f"correct {settings.site.zone}, or let CLOUDFLARE_API_TOKEN read that zone"):
        zone = get_zone(filter=GetZoneFilterArgs(name=settings.site.zone, match="all"))
    host_settings, bootstrap_hash, provider = host_args(settings, openings(edge_ranges, operator_ranges(settings)))

    site = Site(
        "site",
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
                    max_body=settings.proxy.max_body,
                    header_timeout=settings.proxy.timeouts.header,
                    body_timeout=settings.proxy.timeouts.body,
                    response_timeout=settings.proxy.timeouts.response,
                    idle_timeout=settings.proxy.timeouts.idle,
                    health_path=settings.app.health.path,
                ),
            ),
            authorized_keys=settings.operator.ssh_keys,
            app=AppArgs(
                archive=archive.path,
                source=archive.source,
                manifest=app.manifest(archive, settings.app, settings.site.hostname),
                environment=environment(settings, secret_names, secrets),
            ),
            certificate_days=settings.edge.certificate_days,
            minimum_tls=settings.edge.minimum_tls,
            manage_zone_settings=settings.edge.manage_zone_settings,
            client_ca=client_ca(settings.edge.client_ca),
        ),
        pulumi.ResourceOptions(providers=[provider] if provider else None),
    )
    pulumi.export("url", site.url)
    pulumi.export("ipv4", site.ipv4)
    pulumi.export("ipv6", site.ipv6)
    pulumi.export("host_id", site.host_id)
    pulumi.export("host_key", pulumi.Output.unsecret(site.host_key))
    pulumi.export("deploy_key", pulumi.Output.secret(site.deploy_key))
    pulumi.export("client_ca", site.client_ca)
    pulumi.export("certificate_expires", site.certificate_expires)


try:
    main()
except (
    declared.SettingsError,
    app.AppRefused,
    ranges.RangesRefused,
    host.UserDataTooLarge,
    LookupFailed,
    AddressUnknown,
) as error:
    # One problem a line, as the user can mend it; a traceback would only bury them.
    raise pulumi.RunError(str(error)) from None
