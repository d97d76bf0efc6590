"""What a stack may write: frozen models, one for each section of configuration, and their loader.

No secret is ever in here. Every field's description is its documentation: docs/settings.md and
schema/settings.schema.json are generated from these models (docs/generate.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
)
from pydantic import field_validator as validates

import problems
from credentials import check_secret_key, check_secrets, missing_credentials
from fields import (
    Command,
    Entrypoint,
    EnvironmentName,
    EnvironmentValue,
    Folder,
    Hostname,
    Listed,
    OperatorRanges,
    Pattern,
    Refused,
    Size,
    SshPublicKey,
    UrlPath,
    shown,
)
from problems import SettingsError

__all__ = [
    "App",
    "Droplet",
    "Ec2",
    "Edge",
    "Health",
    "Operator",
    "Proxy",
    "Settings",
    "SettingsError",
    "Site",
    "Timeouts",
    "Waitress",
    "check_secret_key",
    "check_secrets",
    "load",
    "missing_credentials",
    "notices",
]


class Section(BaseModel):
    """Frozen, strict (no "5" for 5, no yes for text), and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def Seconds(low: int, high: int, default: int, description: str) -> Any:
    """A field that holds whole seconds within bounds."""
    return Field(default=default, ge=low, le=high, description=f"{description} Seconds.")


class Site(Section):
    """The site and its place in DNS."""

    zone: Hostname = Field(description="The Cloudflare zone (domain) that holds the site's names.")
    hostname: Hostname = Field(description="The name that visitors use: the zone itself or a name below it.")
    redirects: Listed[Hostname] = Field(
        default=(), description="Further names in the zone that redirect to `hostname`, such as www."
    )

    @validates("hostname", "redirects")
    @classmethod
    def _in_zone(cls, value: str | tuple[str, ...], info: ValidationInfo) -> str | tuple[str, ...]:
        zone = info.data.get("zone")
        for name in (value,) if isinstance(value, str) else value:
            if zone and name != zone and not name.endswith(f".{zone}"):
                raise Refused(
                    f'{shown(name)} is not in zone "{zone}"',
                    allowed=f"{zone} or a name that ends in .{zone}",
                    do=f"change site.{info.field_name} or site.zone",
                )
            if info.field_name == "redirects" and name == info.data.get("hostname"):
                raise Refused(f"{shown(name)} is the site's own hostname and would redirect to itself", do="remove it")
        return value


OnBootstrapChange = Annotated[
    Literal["replace", "ignore"],
    Field(
        description="What a change of the machine's first boot does: `replace` builds a new machine beside the old "
        "one and moves the site to it, `ignore` leaves it for the next new machine."
    ),
]
# The clouds add regions and sizes all the time: only their form is known here, their own answer decides.
_DROPLET_REGION = r"[a-z]{3}[0-9]"
_DROPLET_SIZE = r"[a-z][a-z0-9_]*(-[a-z0-9_]+)+"
_EC2_REGION = r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]"
_EC2_SIZE = r"[a-z][a-z0-9-]*\.[a-z0-9-]+"


class Droplet(Section):
    """A DigitalOcean droplet. It has IPv4 and IPv6."""

    cloud: Literal["digitalocean"] = Field(description="The cloud.")
    region: str = Field(
        default="fra1",
        pattern=f"^{_DROPLET_REGION}$",
        description="The datacenter.",
        examples=["fra1", "nyc3"],
    )
    size: str = Field(
        default="s-1vcpu-1gb",
        pattern=f"^{_DROPLET_SIZE}$",
        description="The droplet's size, as `doctl compute size list` names it.",
        examples=["s-1vcpu-1gb", "c-2"],
    )
    architecture: Literal["amd64"] = Field(default="amd64", description="The processor; droplets have no other.")
    on_bootstrap_change: OnBootstrapChange = "replace"

    @validates("region", "size", mode="before")
    @classmethod
    def _of_this_cloud(cls, value: object, info: ValidationInfo) -> object:
        aws = f"{_EC2_REGION}[a-f]?" if info.field_name == "region" else _EC2_SIZE
        if isinstance(value, str) and re.fullmatch(aws, value):
            raise Refused(
                f"{shown(value)} is AWS's name",
                allowed=f"DigitalOcean's, like {cls.model_fields[str(info.field_name)].default}",
                do="change it or set host.cloud to aws",
            )
        return value


def architecture_of(size: str) -> Literal["amd64", "arm64"]:
    """The processor of an EC2 instance type: Graviton has a g after the generation (t4g, c7gn, im4gn), or is a1.

    https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    match = re.match(r"([a-z]+[0-9]+)([a-z]*)(-gb)?", size)
    return "arm64" if match and ("g" in match[2] or match[3] or match[1] == "a1") else "amd64"


class Ec2(Section):
    """An EC2 instance. It has a public IPv4 address, and IPv6 where its subnet has it."""

    cloud: Literal["aws"] = Field(description="The cloud.")
    region: str = Field(
        default="eu-central-1",
        pattern=f"^{_EC2_REGION}$",
        description="The region.",
        examples=["eu-central-1", "us-east-1"],
    )
    size: str = Field(
        default="t3.micro",
        pattern=f"^{_EC2_SIZE}$",
        description="The instance type.",
        examples=["t3.micro", "t4g.small"],
    )
    architecture: Literal["amd64", "arm64"] = Field(
        default_factory=lambda known: architecture_of(known["size"]),
        description="The processor. Without it the one that `size` has.",
    )
    vpc_id: str | None = Field(
        default=None,
        pattern=r"^vpc-[0-9a-f]{8,17}$",
        description="The network. Without it the account's default VPC.",
        examples=["vpc-0a1b2c3d4e5f60718"],
    )
    subnet_id: str | None = Field(
        default=None,
        pattern=r"^subnet-[0-9a-f]{8,17}$",
        description="The subnet, which must be public. Without it the first one of the network.",
        examples=["subnet-0a1b2c3d4e5f60718"],
    )
    on_bootstrap_change: OnBootstrapChange = "replace"

    @validates("region", "size", mode="before")
    @classmethod
    def _of_this_cloud(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        if re.fullmatch(_DROPLET_REGION if info.field_name == "region" else _DROPLET_SIZE, value):
            raise Refused(
                f"{shown(value)} is DigitalOcean's name",
                allowed=f"AWS's, like {cls.model_fields[str(info.field_name)].default}",
                do="change it or set host.cloud to digitalocean",
            )
        if info.field_name == "region" and re.fullmatch(f"{_EC2_REGION}[a-f]", value):
            raise Refused(f"{shown(value)} is an availability zone", allowed="a region", do=f"write {value[:-1]}")
        return value

    @validates("architecture")
    @classmethod
    def _of_the_size(cls, value: str, info: ValidationInfo) -> str:
        size = info.data.get("size")
        if size and value != architecture_of(size):
            raise Refused(f"{shown(value)} is not what {size} has", allowed=architecture_of(size), do="remove the line")
        return value


class Operator(Section):
    """Who may reach the machine by SSH (as user `deploy`, by key only)."""

    ranges: OperatorRanges = Field(
        description="Addresses and ranges that reach SSH, or `current`: the address that the program is run from, "
        "so that a CI runner can release.",
    )
    ssh_keys: Listed[SshPublicKey] = Field(
        default=(),
        description="Public keys that may log in. The program has its own key and needs none of these.",
    )


class Waitress(Section):
    """The Waitress server: one process, several threads. The names are Waitress's own."""

    kind: Literal["waitress"] = Field(default="waitress", description="The WSGI server.")
    threads: int = Field(default=8, ge=1, le=256, description="Requests that are worked on at once.")
    connection_limit: int = Field(default=1000, ge=1, le=65_535, description="Connections that are held at once.")
    channel_timeout: int = Seconds(1, 3600, 120, "How long a silent connection is kept.")
    max_request_header_size: int = Field(
        # Cloudflare passes at most 128 KB of headers:
        # https://developers.cloudflare.com/fundamentals/reference/connection-limits/
        default=131_072,
        ge=1024,
        le=1_048_576,
        description="All headers of one request together, in bytes.",
    )


class Health(Section):
    """How a new release proves itself before it takes over."""

    path: UrlPath = Field(
        default="/", description="Asked with the site's hostname; any 2xx is healthy, a redirect is not."
    )
    timeout: int = Seconds(1, 600, 30, "How long a new release may take until it is healthy.")


class App(Section):
    """The app and its life."""

    source: Folder = Field(description="The app's folder: a path from the project's folder (Pulumi.yaml's) or from /.")
    entrypoint: Entrypoint = Field(description="The WSGI callable, or a factory that is called for it.")
    server: Waitress = Field(default=Waitress(), description="The WSGI server and its options.")
    environment: Annotated[
        Mapping[EnvironmentName, EnvironmentValue], AfterValidator(MappingProxyType), PlainSerializer(dict)
    ] = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Plain environment variables. Secrets go to `secrets`, and no name may be in both.",
    )
    release_command: Command | None = Field(
        default=None,
        description="Run in the new release before it starts, such as `flask db upgrade`. No shell reads it.",
    )
    release_timeout: int = Seconds(1, 3600, 300, "How long the release command may run.")
    health: Health = Field(default=Health(), description="The health check.")
    keep: int = Field(
        default=5, ge=2, le=50, description="Releases that are kept for a rollback, the live one included."
    )
    drain: int = Seconds(0, 600, 30, "How long the old release may finish its requests.")
    exclude: Listed[Pattern] = Field(
        default=(),
        description="Globs of files that stay at home, beside .git, .venv, __pycache__ and .env files.",
    )


class Timeouts(Section):
    """The proxy's patience."""

    header: int = Seconds(1, 300, 10, "For a request's headers.")
    body: int = Seconds(1, 3600, 60, "For a request's body.")
    # Cloudflare gives up after 120 s without a byte (524) and reuses an idle connection for 900 s: who closes it
    # earlier loses requests. https://developers.cloudflare.com/fundamentals/reference/connection-limits/
    response: int = Seconds(1, 3600, 120, "For the app's answer to begin.")
    idle: int = Seconds(1, 3600, 910, "For the next request on an open connection.")


class Proxy(Section):
    """The reverse proxy on the machine."""

    kind: Literal["caddy"] = Field(default="caddy", description="The proxy.")
    max_body: Size = Field(
        default=10_000_000,
        json_schema_extra={"default": "10MB"},
        description="The largest request body (upload).",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="Timeouts towards Cloudflare and the app.")


class Edge(Section):
    """Cloudflare's side."""

    manage_zone_settings: bool = Field(
        default=True,
        description="Whether this stack owns the zone's TLS settings. They hold for the whole zone: let one of its "
        "stacks own them, and write false in the others. Destroy leaves them as they are.",
    )
    client_ca: Folder | None = Field(
        default=None,
        validate_default=True,
        description="A PEM file with the CA of the client certificate that Cloudflare shows to origins of this zone: "
        "what the stack that owns the zone's settings exports as `client_ca`. The others need it, for a zone has one "
        "client certificate. Without it this stack makes one and gives it to the zone.",
    )
    minimum_tls: Literal["1.2", "1.3"] = Field(
        default="1.2", description="The oldest TLS that visitors may use. In quotes."
    )
    certificate_days: Literal[7, 30, 90, 365, 730, 1095, 5475] = Field(
        default=5475, description="How long the origin certificate lasts. It is renewed by `up` only."
    )

    @validates("client_ca")
    @classmethod
    def _given_to_who_does_not_own(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("manage_zone_settings") is False:
            raise Refused(
                "is missing: the stack that owns the zone's settings owns its client certificate too",
                do="run `pulumi stack output client_ca` there and write the file's path",
            )
        return value


class Settings(Section):
    """A stack's whole configuration, but for its secrets."""

    site: Site = Field(description="The site: its hostname, zone and redirects.")
    host: Annotated[Droplet | Ec2, Field(discriminator="cloud")] = Field(description="The machine.")
    operator: Operator = Field(description="Who may reach the machine by SSH.")
    app: App = Field(description="The app and its life.")
    proxy: Proxy = Field(default=Proxy(), description="The reverse proxy.")
    edge: Edge = Field(default=Edge(), description="Cloudflare's side.")


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
    if not settings.operator.ssh_keys:
        lines.append("operator.ssh_keys: none; only the program's own key can log in")
    return lines
