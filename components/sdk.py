"""The provider SDKs' classes that this program uses, loaded one module at a time.

`import pulumi_cloudflare` runs an `__init__` that imports every resource of the provider (3.5 s and 165 MB for a
program that uses seven of them). A provider module imports its package first, so the package is registered here
unexecuted; its submodules then load alone. Any other name asked of the package still runs the real `__init__`:
nothing is missing, it is only late. See docs/adr/0002-provider-modules-loaded-alone.md.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any


def _defer_init(name: str) -> None:
    """Register package `name` with its search path set and its `__init__` not yet run."""
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)

    def on_missing(attribute: str) -> Any:
        if importlib.util.find_spec(f"{name}.{attribute}") is not None:
            raise AttributeError(attribute)  # a submodule: the import system loads it itself
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = on_missing
    sys.modules[name] = package


if not TYPE_CHECKING:
    for _name in ("pulumi_cloudflare", "pulumi_digitalocean"):
        _defer_init(_name)

from pulumi_cloudflare._inputs import GetZoneFilterArgs  # noqa: E402
from pulumi_cloudflare.authenticated_origin_pulls_certificate import (  # noqa: E402
    AuthenticatedOriginPullsCertificate,
)
from pulumi_cloudflare.authenticated_origin_pulls_settings import AuthenticatedOriginPullsSettings  # noqa: E402
from pulumi_cloudflare.dns_record import DnsRecord  # noqa: E402
from pulumi_cloudflare.get_ip_ranges import get_ip_ranges  # noqa: E402
from pulumi_cloudflare.get_zone import get_zone  # noqa: E402
from pulumi_cloudflare.origin_ca_certificate import OriginCaCertificate  # noqa: E402
from pulumi_cloudflare.zone_setting import ZoneSetting  # noqa: E402
from pulumi_digitalocean._inputs import FirewallInboundRuleArgs, FirewallOutboundRuleArgs  # noqa: E402
from pulumi_digitalocean.droplet import Droplet  # noqa: E402
from pulumi_digitalocean.firewall import Firewall  # noqa: E402
from pulumi_digitalocean.ssh_key import SshKey  # noqa: E402
from pulumi_digitalocean.tag import Tag  # noqa: E402

__all__ = [
    "AuthenticatedOriginPullsCertificate",
    "AuthenticatedOriginPullsSettings",
    "DnsRecord",
    "Droplet",
    "Firewall",
    "FirewallInboundRuleArgs",
    "FirewallOutboundRuleArgs",
    "GetZoneFilterArgs",
    "OriginCaCertificate",
    "SshKey",
    "Tag",
    "ZoneSetting",
    "get_ip_ranges",
    "get_zone",
]
