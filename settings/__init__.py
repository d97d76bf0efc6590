"""What a stack may write: frozen models, one for each section of configuration, and their loader.

No secret is ever in here. Every field's description is its documentation: docs/settings.md and
schema/settings.schema.json are generated from these models (docs/generate.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from settings import problems
from settings.app import App, Health, RateLimit
from settings.credentials import (
    check_secret,
    check_secret_key,
    check_secret_name,
    check_secrets,
    missing_credentials,
)
from settings.edge import Edge
from settings.fields import Refused
from settings.host import Droplet, Ec2
from settings.operator import Operator
from settings.problems import SettingsError
from settings.proxy import Proxy, Timeouts
from settings.section import Section
from settings.server import Eventlet, Gevent, Granian, Gunicorn, ModWsgi, Twisted, Uwsgi, Waitress
from settings.site import Site

__all__ = [
    "App",
    "Droplet",
    "Ec2",
    "Edge",
    "Eventlet",
    "Gevent",
    "Granian",
    "Gunicorn",
    "Health",
    "ModWsgi",
    "Operator",
    "Proxy",
    "RateLimit",
    "Settings",
    "SettingsError",
    "Site",
    "Timeouts",
    "Twisted",
    "Uwsgi",
    "Waitress",
    "check_secret",
    "check_secret_key",
    "check_secret_name",
    "check_secrets",
    "load",
    "missing_credentials",
    "notices",
]


class Settings(Section):
    """A stack's whole configuration, but for its secrets."""

    site: Site = Field(description="The site: its hostname, zone and redirects.")
    host: Annotated[Droplet | Ec2, Field(discriminator="cloud")] = Field(description="The machine.")
    operator: Operator = Field(description="Who may reach the machine by SSH.")
    app: App = Field(description="The app and its life.")
    proxy: Proxy = Field(default=Proxy(), validate_default=True, description="The reverse proxy.")
    edge: Edge = Field(default=Edge(), description="Cloudflare's side.")

    @field_validator("proxy")
    @classmethod
    def _speaks_the_server_s_protocol(cls, value: Proxy, info: ValidationInfo) -> Proxy:
        app: App | None = info.data.get("app")
        if app and isinstance(app.server, Uwsgi) and app.server.protocol == "uwsgi" and value.kind == "caddy":
            raise Refused(
                'kind: "caddy" does not speak uWSGI\'s own protocol, which app.server.protocol asks for',
                allowed="nginx, apache",
                do="choose one of them, or write http as app.server.protocol",
            )
        return value


def load(config: Mapping[str, object]) -> Settings:
    """Settings from the decoded sections of a stack's configuration (`secrets` left out).

    Raises SettingsError with one line for each problem.
    """
    # A section whose settings are all commented out is null.
    sections = {key: value for key, value in config.items() if value is not None}
    try:
        return Settings.model_validate(sections)
    except ValidationError as error:
        lines = problems.lines(error, Settings)
    raise SettingsError(lines)


def notices(settings: Settings) -> list[str]:
    """What is allowed and yet worth a second look, one plain line each; shown in preview."""
    lines: list[str] = []
    for name in (settings.site.hostname, *settings.site.redirects):
        if name.removesuffix(settings.site.zone).count(".") > 1:
            lines.append(
                f"site: {name} is more than one level below {settings.site.zone}, which Cloudflare's free certificate "
                "does not cover; do: order an advanced certificate, or use a name one level below"
            )
    if settings.proxy.max_body > 100_000_000:
        lines.append("proxy.max_body: Cloudflare passes uploads up to 100 MB on its Free and Pro plans")
    if settings.proxy.timeouts.response > 120:
        lines.append("proxy.timeouts.response: Cloudflare gives up after 120 seconds, except on its Enterprise plan")
    if isinstance(settings.app.server, Eventlet) or getattr(settings.app.server, "worker_class", "") == "eventlet":
        lines.append(
            "app.server: Eventlet is a dead end: its authors plan to archive it, and Gunicorn 26 dropped its worker; "
            "do: plan a move to gevent or threads"
        )
    if getattr(settings.app.server, "worker_class", "") == "sync" and not settings.proxy.buffer_uploads:
        lines.append(
            "app.server: a sync worker that gets a slow visitor's upload does nothing else meanwhile; "
            "do: write proxy.buffer_uploads: true, or choose worker_class gthread"
        )
    if not settings.operator.ssh_keys:
        lines.append("operator.ssh_keys: none; only the program's own key can log in")
    return lines
