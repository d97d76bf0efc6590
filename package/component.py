"""The program's Site as one component that any of Pulumi's languages can make."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

import settings as declared
import wiring
from package.arguments import SiteArgs


class Site(pulumi.ComponentResource):
    """A Flask (any WSGI) app on a host of your own that only your own Cloudflare zone can reach."""

    url: pulumi.Output[str]
    """Where visitors find the site."""
    ipv4: pulumi.Output[str]
    """The host's IPv4 address."""
    ipv6: pulumi.Output[str] | None
    """The host's IPv6 address, where it has one."""
    host_id: pulumi.Output[str]
    """The cloud's id of the host."""
    host_key: pulumi.Output[str]
    """The host's public SSH key."""
    deploy_key: pulumi.Output[str]
    """The private SSH key of the host's user `deploy`."""
    client_ca: pulumi.Output[str]
    """The CA of the client certificate that Cloudflare shows to the zone's origins, as PEM."""
    certificate_expires: pulumi.Output[str]
    """When the origin certificate expires."""

    def __init__(self, name: str, args: SiteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Relative paths in `args` lead from the folder of the program that makes the site.

        Raises one of wiring.REFUSALS before anything is made.
        """
        super().__init__("flask-origin:index:Site", name, {}, opts)
        sections = {key: _whole(value) for key, value in args.items() if key != "secrets"}
        settings = declared.load(sections)
        site = wiring.site(
            name,
            settings,
            read_secrets(args.get("secrets") or {}, settings.app.environment),
            folder=Path.cwd(),
            address=wiring.operator_address(settings),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url = pulumi.Output.from_input(site.url)
        self.ipv4 = site.ipv4
        self.ipv6 = site.ipv6
        self.host_id = site.host_id
        self.host_key = pulumi.Output.unsecret(site.host_key)
        self.deploy_key = pulumi.Output.secret(site.deploy_key)
        self.client_ca = pulumi.Output.from_input(site.client_ca)
        self.certificate_expires = site.certificate_expires
        self.register_outputs({"url": self.url})


def read_secrets(
    given: Mapping[str, pulumi.Input[str]], environment: Mapping[str, str]
) -> dict[str, pulumi.Output[str]]:
    """The app's secrets by name, each a secret Output, their values checked once they are known."""
    if isinstance(given, pulumi.Output):
        raise declared.SettingsError(
            ["secrets: which ones there are is known later; do: write the names, only values late"]
        )
    for name in given:
        declared.check_secret_name(name, environment)
    return {
        name: pulumi.Output.secret(value).apply(lambda text, name=name: declared.check_secret(name, text))
        for name, value in given.items()
    }


def _whole(value: Any) -> Any:
    """Whole numbers as integers: the engine has only one kind of number."""
    if isinstance(value, Mapping):
        return {key: _whole(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
