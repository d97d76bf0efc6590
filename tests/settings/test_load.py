"""What is refused, in the very words that users read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from settings import Droplet, Ec2, Settings, load, notices

from .samples import VALID, Config, having, lacking, refusal

HOSTNAMES = "allowed: letters, digits and hyphens between dots, like www.example.com"
RANGES = "allowed: an address, a range like 203.0.113.0/28 or 2001:db8:7::/64, or current"
ENTRYPOINTS = "allowed: module:app, module:create_app(), module:create_app('production') or path/to/wsgi.py"
SERVERS = "waitress, gunicorn, uwsgi, granian, gevent, eventlet, twisted, mod_wsgi"

SOURCES = "a folder's path, https://….tar.gz (or .tgz, .zip), or git+https://…@<the commit's 40 digits>"

REFUSED: list[tuple[str, object, str]] = [
    # ---- site ----
    (
        "site.hostname",
        "x.example.org",
        'site.hostname: "x.example.org" is not in zone "example.com"; allowed: example.com or a name that ends in '
        ".example.com; do: change site.hostname or site.zone",
    ),
    (
        "site.hostname",
        "badexample.com",
        'site.hostname: "badexample.com" is not in zone "example.com"; allowed: example.com or a name that ends in '
        ".example.com; do: change site.hostname or site.zone",
    ),
    (
        "site.redirects",
        ["old.example.net"],
        'site.redirects: "old.example.net" is not in zone "example.com"; allowed: example.com or a name that ends in '
        ".example.com; do: change site.redirects or site.zone",
    ),
    (
        "site.redirects",
        ["WWW.example.com."],
        'site.redirects: "www.example.com" is the site\'s own hostname and would redirect to itself; do: remove it',
    ),
    ("site.redirects", ["example.com"] * 2, 'site.redirects: "example.com" is listed twice; do: remove one'),
    (
        "site.redirects",
        "example.com",
        'site.redirects: "example.com" is not a list; do: write each item on a line of its own after a dash',
    ),
    (
        "site.redirects",
        [f"{n}.example.com" for n in range(17)],
        "site.redirects: has 17 items; allowed: at most 16",
    ),
    (
        "site.zone",
        "https://example.com/",
        f'site.zone: "https://example.com/" is more than a hostname; {HOSTNAMES}; do: leave out scheme, port and path',
    ),
    ("site.zone", 7, "site.zone: 7 is not text; do: write it in quotes"),
    (
        "site.hostnam",
        "example.com",
        "site.hostnam: unknown key; allowed: zone, hostname, redirects; do: write hostname",
    ),
    ("site.colour", "red", "site.colour: unknown key; allowed: zone, hostname, redirects; do: remove it"),
    ("site", [], "site: [] is not a section; do: write its keys on lines of their own below it"),
    ("sites", {}, "sites: unknown key; allowed: site, host, operator, app, proxy, edge; do: write site"),
    # ---- host ----
    ("host.cloud", "gcp", 'host.cloud: "gcp" is not allowed; allowed: digitalocean, aws'),
    ("host", {"region": "fra1"}, "host.cloud: is missing; allowed: digitalocean, aws; do: add it"),
    (
        "host.region",
        "eu-central-1",
        "host.region: \"eu-central-1\" is AWS's name; allowed: DigitalOcean's, like fra1; "
        "do: change it or set host.cloud to aws",
    ),
    (
        "host.size",
        "t3.micro",
        "host.size: \"t3.micro\" is AWS's name; allowed: DigitalOcean's, like s-1vcpu-1gb; "
        "do: change it or set host.cloud to aws",
    ),
    ("host.region", "Frankfurt", 'host.region: "Frankfurt" is not of the usual form; allowed: text like fra1 or nyc3'),
    ("host.size", "big", 'host.size: "big" is not of the usual form; allowed: text like s-1vcpu-1gb or c-2'),
    (
        "host",
        {"cloud": "aws", "region": "fra1"},
        "host.region: \"fra1\" is DigitalOcean's name; allowed: AWS's, like eu-central-1; "
        "do: change it or set host.cloud to digitalocean",
    ),
    (
        "host",
        {"cloud": "aws", "region": "us-east-1b"},
        'host.region: "us-east-1b" is an availability zone; allowed: a region; do: write us-east-1',
    ),
    (
        "host",
        {"cloud": "aws", "size": "t4g.micro", "architecture": "amd64"},
        'host.architecture: "amd64" is not what t4g.micro has; allowed: arm64; do: remove the line',
    ),
    (
        "host",
        {"cloud": "aws", "vpc_id": "default"},
        'host.vpc_id: "default" is not of the usual form; allowed: text like vpc-0a1b2c3d4e5f60718',
    ),
    (
        "host.on_bootstrap_change",
        "rebuild",
        'host.on_bootstrap_change: "rebuild" is not allowed; allowed: "replace", "ignore"',
    ),
    # ---- operator ----
    (
        "operator.ranges",
        [],
        "operator.ranges: is empty: nobody could set the machine up; do: write your own address, or current",
    ),
    (
        "operator.ranges",
        ["0.0.0.0/0"],
        f'operator.ranges[0]: "0.0.0.0/0" lets in the whole world; {RANGES}; do: name your own addresses',
    ),
    (
        "operator.ranges",
        ["current", "::/0"],
        f'operator.ranges[1]: "::/0" lets in the whole world; {RANGES}; do: name your own addresses',
    ),
    (
        "operator.ranges",
        "anyone",
        'operator.ranges: "anyone" is not a list; do: write each item on a line of its own after a dash',
    ),
    (
        "operator.ssh_keys",
        ["~/.ssh/id_ed25519.pub"],
        'operator.ssh_keys[0]: "~/.ssh/id_ed25519.pub" is a file\'s name; allowed: one line of a .pub file, like '
        "ssh-ed25519 AAAA… me@laptop; do: write what the file says",
    ),
    # ---- app ----
    (
        "app.entrypoint",
        "wsgi",
        f'app.entrypoint: "wsgi" names no callable; {ENTRYPOINTS}; do: write wsgi:app',
    ),
    ("app.server.kind", "gunicron", f'app.server.kind: "gunicron" is not allowed; allowed: {SERVERS}'),
    ("app.server", {"threads": 4}, f"app.server.kind: is missing; allowed: {SERVERS}; do: add it"),
    (
        "app.server",
        {"kind": "gunicorn", "worker_class": "sync", "threads": 4},
        "app.server: threads: 4 does not go with worker_class sync, which uses none; allowed: 1, or worker_class "
        "gthread",
    ),
    (
        "app.server",
        {"kind": "gunicorn", "worker_class": "sync", "worker_connections": 10},
        "app.server: worker_connections does not go with worker_class sync, which has one at a time; do: remove the "
        "line, or choose gthread or gevent",
    ),
    (
        "app.server",
        {"kind": "uwsgi", "gevent": 100, "threads": 4},
        "app.server: gevent and threads are two ways to do the same; do: remove one of them",
    ),
    (
        "app.server",
        {"kind": "gevent", "workers": 4},
        "app.server.workers: unknown key; allowed: kind, access_log, spawn, backlog; do: remove it",
    ),
    (
        "app.server",
        {"kind": "gunicorn", "worker_class": "tornado"},
        'app.server.worker_class: "tornado" is not allowed; allowed: "gthread", "sync", "gevent", "eventlet"',
    ),
    ("app.server", {"kind": "gunicorn", "workers": 0}, "app.server.workers: 0 is out of range; allowed: 1 to 256"),
    ("app.server.threads", 0, "app.server.threads: 0 is out of range; allowed: 1 to 256"),
    (
        "app.server.thread",
        4,
        "app.server.thread: unknown key; allowed: kind, access_log, threads, connection_limit, channel_timeout, "
        "max_request_header_size; do: write threads",
    ),
    ("app.keep", "5", 'app.keep: "5" is not a whole number; do: write digits without quotes'),
    ("app.keep", True, "app.keep: true is not a whole number; do: write digits without quotes"),
    ("app.drain", 1.5, "app.drain: 1.5 is not a whole number; do: write digits without quotes"),
    ("app.drain", 10**30, f"app.drain: {10**30} is out of range; allowed: 0 to 600"),
    (
        "app.environment",
        ["A=b"],
        'app.environment: ["A=b"] is not a section of names and values; do: write NAME: "value" on lines of their own '
        "below it",
    ),
    (
        "app.environment.WORKERS",
        4,
        "app.environment.WORKERS: is a number, not text; do: write the value in quotes",
    ),
    (
        "app.environment.MAIL_PASSWORD",
        "hunter2",
        "app.environment.MAIL_PASSWORD: MAIL_PASSWORD looks like a secret; allowed: plain values only; "
        "do: use `pulumi config set --secret --path secrets.MAIL_PASSWORD`",
    ),
    (
        "app.environment.DATABASE_URL",
        "postgresql://shop:hunter2@db/shop",
        "app.environment.DATABASE_URL: holds a password or private key; allowed: plain values only; "
        "do: use `pulumi config set --secret --path secrets.NAME`",
    ),
    (
        "app.environment.PORT",
        "8000",
        "app.environment.PORT: PORT is reserved: the server listens on a socket of the host's choice; do: remove it",
    ),
    (
        "app.release_command",
        "flask db upgrade && flask seed",
        "app.release_command: needs a shell, and none reads it; allowed: a line like flask db upgrade, or a list of "
        'words; do: write ["sh", "-c", "…"]',
    ),
    (
        "app.health.path",
        "health",
        'app.health.path: "health" is not a path on the site; allowed: a path like /health',
    ),
    (
        "app.exclude",
        ["../other"],
        'app.exclude[0]: "../other" is not a pattern inside the app\'s folder; allowed: globs like *.sqlite or data/*',
    ),
    (
        "app.maintenance_page",
        "/srv/back.html",
        'app.maintenance_page: "/srv/back.html" is not a file inside the app\'s folder; allowed: a path from there, '
        "like pages/back.html",
    ),
    (
        "app.error_page",
        "../down.html",
        'app.error_page: "../down.html" is not a file inside the app\'s folder; allowed: a path from there, '
        "like pages/back.html",
    ),
    (
        "app.static",
        {"/static": "."},
        'app.static./static: "." is not a folder or file inside the app\'s folder; allowed: a path from there, like '
        "static or shop/static; never the whole",
    ),
    (
        "app.static",
        {"/": "static"},
        'app.static./: "/" is not a path that files can be served below; allowed: one like /static or /site/media, of '
        "letters, digits and . _ -; do: name the folders and files one by one: the app answers everything else",
    ),
    (
        "app.static",
        {"/a/../b": "static"},
        'app.static./a/../b: "/a/../b" is not a path that files can be served below; allowed: one like /static or '
        "/site/media, of letters, digits and . _ -",
    ),
    (
        "app.uploads",
        ["uploads"],
        'app.uploads[0]: "uploads" is not a path that files can be served below; allowed: one like /static or '
        "/site/media, of letters, digits and . _ -",
    ),
    (
        "app.source",
        "http://example.com/app.tar.gz",
        'app.source: "http://example.com/app.tar.gz" is not encrypted: the code could be changed on its way; '
        f"allowed: {SOURCES}",
    ),
    (
        "app.source",
        "https://example.com/app-1.2.tar.gz",
        "app.sha256: is missing; do: add what `curl -L https://example.com/app-1.2.tar.gz | sha256sum` prints, once "
        "you trust it",
    ),
    (
        "app.source",
        "git+https://example.com/app@main",
        'app.source: "main" is a branch, a tag or short, and may come to mean another commit; '
        f"allowed: {SOURCES}; do: write the 40 digits that `git rev-parse` shows",
    ),
    (
        "app.sha256",
        "0" * 64,
        'app.sha256: is for an archive on the web, and app.source is "../app"; do: remove it',
    ),
    (
        "app.sha256",
        "0" * 63,
        f'app.sha256: "{"0" * 63}" is not a SHA-256; allowed: 64 hexadecimal digits, as sha256sum prints them',
    ),
    # ---- proxy and edge ----
    ("proxy.max_body", "10", 'proxy.max_body: "10" is not a size; allowed: 1KB to 5GB, like 10MB or 16MiB'),
    ("proxy.max_body", "9GB", 'proxy.max_body: "9GB" is out of range; allowed: 1KB to 5GB, like 10MB or 16MiB'),
    (
        "app.server",
        {"kind": "uwsgi", "protocol": "uwsgi"},
        'proxy: kind: "caddy" does not speak uWSGI\'s own protocol, which app.server.protocol asks for; allowed: '
        "nginx, apache; do: choose one of them, or write http as app.server.protocol",
    ),
    (
        "app.server",
        {"kind": "uwsgi", "protocol": "fastcgi"},
        'app.server.protocol: "fastcgi" is not allowed; allowed: "http", "uwsgi"',
    ),
    ("proxy.kind", "iis", 'proxy.kind: "iis" is not allowed; allowed: "caddy", "nginx", "apache"'),
    (
        "proxy.timeouts.idel",
        9,
        "proxy.timeouts.idel: unknown key; allowed: header, body, response, idle; do: write idle",
    ),
    ("edge.minimum_tls", 1.2, 'edge.minimum_tls: 1.2 is not allowed; allowed: "1.2", "1.3"; do: write "1.2"'),
    ("edge.minimum_tls", "1.0", 'edge.minimum_tls: "1.0" is not allowed; allowed: "1.2", "1.3"'),
    (
        "edge.certificate_days",
        "90",
        'edge.certificate_days: "90" is not allowed; allowed: 7, 30, 90, 365, 730, 1095, 5475; do: write 90',
    ),
    (
        "app.rate_limit",
        {"paths": ["/login"]},
        "app.rate_limit: has no `requests`, so nothing is limited; do: add them, or remove the section",
    ),
    (
        "app.rate_limit",
        {"requests": 0},
        "app.rate_limit.requests: 0 is out of range; allowed: 1 to 1000000",
    ),
    (
        "app.rate_limit",
        {"requests": 5, "paths": ["/login?next=/"]},
        'app.rate_limit.paths[0]: "/login?next=/" can\'t be counted; allowed: a path like /login, without ? or %',
    ),
    (
        "edge.manage_zone_settings",
        "yes",
        'edge.manage_zone_settings: "yes" is not true or false; do: write it without quotes',
    ),
]


@pytest.mark.parametrize(
    ("static", "uploads", "other"),
    [
        (None, "/static", "/static"),
        ({"/a/b": "x"}, "/a", "/a/b"),
        ({"/a": "x"}, "/a/b", "/a"),
        ({"/a": "x"}, "/ab", ""),
    ],
)
def test_uploads_and_static_files_are_apart(static: dict[str, str] | None, uploads: str, other: str) -> None:
    config = having("app.uploads", [uploads])
    config["app"]["static"] = static
    line = f'app.uploads: "{uploads}" and app.static\'s "{other}" are one in the other; do: rename one'
    assert refusal(config) == ([line] if other else [])


@pytest.mark.parametrize(("path", "value", "line"), REFUSED, ids=[f"{path}={value}"[:60] for path, value, _ in REFUSED])
def test_one_wrong_value_is_refused_in_one_line(path: str, value: object, line: str) -> None:
    assert refusal(having(path, value)) == [line]


@pytest.mark.parametrize(
    "path",
    [
        "site",
        "host",
        "operator",
        "app",
        "site.zone",
        "site.hostname",
        "operator.ranges",
        "app.source",
    ],
)
def test_what_is_required_is_missed(path: str) -> None:
    assert refusal(lacking(path)) == [f"{path}: is missing; do: add it"]


def test_only_a_folder_s_entrypoint_can_be_looked_for() -> None:
    fetched = having("app.source", f"git+https://example.com/app@{'0' * 40}")
    del fetched["app"]["entrypoint"]
    told = "app.entrypoint: is missing, and only in a folder can it be looked for; do: add it"
    assert refusal(fetched) == [told]


def test_everything_wrong_is_said_at_once() -> None:
    config = having("app.keep", 0) | {"edge": {"minimum_tls": "burn"}, "proxi": {}}
    assert refusal(config) == [
        "app.keep: 0 is out of range; allowed: 2 to 50",
        'edge.minimum_tls: "burn" is not allowed; allowed: "1.2", "1.3"',
        "proxi: unknown key; allowed: site, host, operator, app, proxy, edge; do: write proxy",
    ]


def test_who_does_not_own_the_zone_names_the_owners_ca() -> None:
    assert refusal(having("edge.manage_zone_settings", False)) == [
        "edge.client_ca: is missing: the stack that owns the zone's settings owns its client certificate too; "
        "do: run `pulumi stack output client_ca` there and write the file's path"
    ]
    shared = {"manage_zone_settings": False, "client_ca": "ca.pem"}
    assert load(having("edge", shared)).edge.client_ca == "ca.pem"
    assert refusal(having("edge", {**shared, "hotlink_protection": True})) == [
        "edge.hotlink_protection: is true, but this stack does not own the zone's settings; "
        "do: leave it out here, and write it in the stack that does"
    ]
    assert refusal(having("edge", {**shared, "at_destroy": "restore"})) == [
        "edge.at_destroy: is restore, but this stack does not own the zone's settings; "
        "do: write keep, or manage_zone_settings: true"
    ]


def test_a_wrong_size_does_not_bring_up_its_processor_too() -> None:
    assert len(refusal(having("host", {"cloud": "aws", "size": "huge"}))) == 1


def test_an_error_is_never_pydantics() -> None:
    with pytest.raises(ValueError, match=r"^site: is missing") as caught:
        load({})
    assert not isinstance(caught.value, ValidationError)
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_the_users_text_cannot_break_a_line_or_drive_the_terminal() -> None:
    [line] = refusal(having("site.a\nb\x1b[31m\u2028", 1))
    assert line.startswith("site.a\\u000ab\\u001b[31m\\u2028: unknown key")


def test_values_are_tidied() -> None:
    config = having("site.hostname", "WWW.Example.com.") | {"operator": {"ranges": "current"}}
    settings = load(config)
    assert settings.site.hostname == "www.example.com"
    assert settings.operator.ranges == ("current",)
    assert load(VALID).operator.ranges == ("203.0.113.7/32", "2001:db8:7::/64")
    assert settings.app.release_command == ("flask", "db", "upgrade")
    assert settings.proxy.max_body == 16 * 1024**2


@pytest.mark.parametrize("section", ["proxy", "edge"])
def test_a_section_with_every_line_commented_out_is_its_default(section: str) -> None:
    assert load(having(section, None)) == load(lacking(section))


@pytest.mark.parametrize(
    ("size", "architecture"),
    [
        ("t3.micro", "amd64"), ("t4g.small", "arm64"), ("c7gn.large", "arm64"), ("im4gn.xlarge", "arm64"),
        ("g4dn.xlarge", "amd64"), ("g5g.xlarge", "arm64"), ("g6.xlarge", "amd64"), ("a1.medium", "arm64"),
        ("p6e-gb200.36xlarge", "arm64"), ("u7i-12tb.224xlarge", "amd64"), ("m7i-flex.large", "amd64"),
    ],
)  # fmt: skip
def test_the_processor_is_the_one_that_the_size_has(size: str, architecture: str) -> None:
    host = load(having("host", {"cloud": "aws", "size": size})).host
    assert (host.size, host.architecture) == (size, architecture)
    assert load(having("host", {"cloud": "aws", "size": size, "architecture": architecture})).host == host


def test_each_cloud_has_its_own_defaults() -> None:
    assert load(having("host", {"cloud": "digitalocean"})).host == Droplet(cloud="digitalocean")
    assert load(having("host", {"cloud": "aws"})).host == Ec2(cloud="aws", region="eu-central-1", size="t3.micro")


def models(model: type[BaseModel] = Settings) -> Iterator[type[BaseModel]]:
    """Settings and every model below it."""
    yield model
    for field in model.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from models(kind)


@pytest.mark.parametrize("model", sorted(set(models()), key=str))
def test_every_model_is_closed_frozen_and_documented(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen") and model.model_config.get("extra") == "forbid"
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_settings_do_not_change_afterwards() -> None:
    settings = load(VALID)
    with pytest.raises(ValidationError):
        settings.app.__setattr__("keep", 3)
    with pytest.raises(TypeError):
        settings.app.environment["GREETING"] = "bye"  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (having("site.hostname", "a.b.example.com"), "a.b.example.com is more than one level below example.com"),
        (having("proxy.max_body", "200MB"), "proxy.max_body: Cloudflare passes uploads up to 100 MB"),
        (having("proxy.timeouts.response", 300), "proxy.timeouts.response: Cloudflare gives up after 120 seconds"),
        (having("app.server", {"kind": "gunicorn", "worker_class": "sync"}), "proxy.buffer_uploads: true"),
        (having("app.server", {"kind": "eventlet"}), "app.server: Eventlet is a dead end"),
        (having("app.server", {"kind": "gunicorn", "worker_class": "eventlet"}), "app.server: Eventlet is a dead end"),
        (VALID, "operator.ssh_keys: none; only the program's own key can log in"),
    ],
)
def test_what_is_allowed_but_odd_is_noticed(config: Config, line: str) -> None:
    assert any(line in notice for notice in notices(load(config)))


def test_nothing_odd_is_not_noticed() -> None:
    assert notices(load(VALID)) == ["operator.ssh_keys: none; only the program's own key can log in"]
