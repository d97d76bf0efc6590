"""What the package's Site takes. Generated from the settings by `python -m docs.generate`."""

# No `from __future__ import annotations`: the analyzer reads them as they are.
# ruff: noqa: E501

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi


class SiteSettings(TypedDict):
    """The site and its place in DNS."""

    zone: str
    """The Cloudflare zone (domain) that holds the site's names."""
    hostname: str
    """The name that visitors use: the zone itself or a name below it."""
    redirects: NotRequired[Sequence[str]]
    """Further names in the zone that redirect to `hostname`, such as www."""


class HostSettings(TypedDict):
    """A DigitalOcean droplet. It has IPv4 and IPv6. Or: An EC2 instance. It has a public IPv4 address, and IPv6 where its subnet has it."""

    cloud: str
    """The cloud."""
    region: NotRequired[str]
    """The datacenter. Or: The region."""
    size: NotRequired[str]
    """The droplet's size, as `doctl compute size list` names it. Or: The instance type."""
    architecture: NotRequired[str]
    """The processor; droplets have no other. Or: The processor. Without it the one that `size` has."""
    on_bootstrap_change: NotRequired[str]
    """What a change of the machine's first boot does: `replace` builds a new machine beside the old one and moves the site to it, `ignore` leaves it for the next new machine."""
    vpc_id: NotRequired[str]
    """The network. Without it the account's default VPC."""
    subnet_id: NotRequired[str]
    """The subnet, which must be public. Without it the first one of the network."""


class OperatorSettings(TypedDict):
    """Who may reach the machine by SSH (as user `deploy`, by key only)."""

    ranges: Sequence[str]
    """Addresses and ranges that reach SSH, or `current`: the address that the program is run from, so that a CI runner can release."""
    ssh_keys: NotRequired[Sequence[str]]
    """Public keys that may log in. The program has its own key and needs none of these."""


class ServerSettings(TypedDict):
    """Waitress: one process, several threads. Or: Gunicorn: several processes. An app's gunicorn.conf.py is read. Or: uWSGI: several processes. An app's uwsgi.ini is read. Hyphens of its names are underscores here. Or: Granian: several processes, the HTTP part in Rust. Or: gevent's own server: one process, a greenlet for each request. For more than one core, Gunicorn with gevent. Or: Eventlet's own server: one process. A dead end: its authors plan to archive it; gevent is the way on. Or: Twisted Web: one process, an event loop outside and threads inside. Or: Apache with mod_wsgi in daemon mode, both Debian's. Hyphens of its names are underscores here."""

    kind: NotRequired[str]
    """The WSGI server."""
    access_log: NotRequired[bool]
    """A line a request in the app's journal too; the proxy's access log has one of each already."""
    threads: NotRequired[int]
    """Requests that are worked on at once. Or: Threads of each gthread worker. Left out: 8. Or: Threads of each process. Left out: 8. Or: Threads of each process."""
    connection_limit: NotRequired[int]
    """Connections that are held at once."""
    channel_timeout: NotRequired[int]
    """How long a silent connection is kept. Seconds."""
    max_request_header_size: NotRequired[int]
    """All headers of one request together, in bytes."""
    worker_class: NotRequired[str]
    """How a worker serves; eventlet comes with Gunicorn 25.3.0, the last that has it."""
    workers: NotRequired[int]
    """Processes. Left out: as many as the host's cores and memory bear."""
    worker_connections: NotRequired[int]
    """Connections of each gthread, gevent or eventlet worker."""
    timeout: NotRequired[int]
    """A worker that is silent for longer is killed: of sync, a slow request. Seconds. Or: How long a silent connection is kept. Seconds."""
    graceful_timeout: NotRequired[int]
    """How long a stopping worker may finish; app.drain comes before it. Seconds."""
    keepalive: NotRequired[int]
    """How long a silent connection is kept. Seconds."""
    max_requests: NotRequired[int]
    """Requests after which a worker is replaced; 0 is never. Or: Requests after which a process is replaced; 0 is never."""
    max_requests_jitter: NotRequired[int]
    """Up to so many more, so that not all are replaced at once."""
    limit_request_line: NotRequired[int]
    """The request's first line, in bytes."""
    limit_request_fields: NotRequired[int]
    """Headers of one request."""
    limit_request_field_size: NotRequired[int]
    """One header, in bytes."""
    processes: NotRequired[int]
    """Processes. Left out: as many as the host's cores and memory bear."""
    gevent: NotRequired[int]
    """Greenlets of each process, in place of threads."""
    protocol: NotRequired[str]
    """What the proxy speaks to it; `uwsgi` is its own protocol, which Nginx and Apache speak. Whoever opens that socket can run code as the app: it is open to the proxy alone, as the other is."""
    harakiri: NotRequired[int]
    """A process that works longer on one request is killed. Seconds."""
    listen: NotRequired[int]
    """Connections that may wait."""
    buffer_size: NotRequired[int]
    """The request's line and headers together, in bytes."""
    reload_on_rss: NotRequired[int]
    """MiB of memory at which a process is replaced."""
    blocking_threads: NotRequired[int]
    """Threads of each worker that the app runs in."""
    backlog: NotRequired[int]
    """Connections that may wait."""
    backpressure: NotRequired[int]
    """Requests that a worker holds at once. Left out: backlog / workers."""
    workers_lifetime: NotRequired[int]
    """Seconds after which a worker is replaced."""
    workers_max_rss: NotRequired[int]
    """MiB of memory at which a worker is replaced."""
    http1_buffer_size: NotRequired[int]
    """The request's line and headers together, in bytes."""
    http1_header_read_timeout: NotRequired[int]
    """How long the headers may take. Milliseconds."""
    spawn: NotRequired[int]
    """Requests that are worked on at once."""
    max_size: NotRequired[int]
    """Connections that are worked on at once."""
    socket_timeout: NotRequired[int]
    """How long a silent connection is kept. Seconds."""
    url_length_limit: NotRequired[int]
    """The request's first line, in bytes."""
    request_timeout: NotRequired[int]
    """A process whose requests take longer on average is replaced. Seconds."""
    maximum_requests: NotRequired[int]
    """Requests after which a process is replaced; 0 is never."""


class HealthSettings(TypedDict):
    """How a new release proves itself before it takes over."""

    path: NotRequired[str]
    """Asked with the site's hostname; any 2xx is healthy, a redirect is not."""
    timeout: NotRequired[int]
    """How long a new release may take until it is healthy. Seconds."""


class RateLimitSettings(TypedDict):
    """How often one visitor (an address, in IPv6 its /64) may ask: 429 and Retry-After beyond."""

    requests: NotRequired[int]
    """Requests in `seconds`, on average. Left out: no limit."""
    seconds: NotRequired[int]
    """The time that `requests` is for. Seconds."""
    burst: NotRequired[int]
    """Requests that may come at once. Left out: as many as `requests`."""
    paths: NotRequired[Sequence[str]]
    """What is counted: these paths and what is below them, together. Empty: all that reaches the app."""


class AppSettings(TypedDict):
    """The app and its life."""

    source: str
    """The app's folder: a path from the project's folder (Pulumi.yaml's) or from /. Or what the host fetches: https://….tar.gz (.tgz, .zip) with `sha256`, or git+https://…@ and a commit's 40 digits."""
    sha256: NotRequired[str]
    """Of an archive on the web: what `sha256sum` prints."""
    entrypoint: NotRequired[str]
    """The WSGI callable, a factory to call for it, or a file with `application`. In a folder it may be left to a Procfile, to WSGIPath in .ebextensions, or to a WSGI file with `application`."""
    server: NotRequired[ServerSettings]
    """The WSGI server and its options."""
    environment: NotRequired[Mapping[str, str]]
    """Plain environment variables. Secrets go to `secrets`, and no name may be in both."""
    release_command: NotRequired[Sequence[str]]
    """Run in the new release before it starts, such as `flask db upgrade`. No shell reads it."""
    release_timeout: NotRequired[int]
    """How long the release command may run. Seconds."""
    health: NotRequired[HealthSettings]
    """The health check."""
    keep: NotRequired[int]
    """Releases that are kept for a rollback, the live one included."""
    drain: NotRequired[int]
    """How long an old release, or host, may finish its requests. Seconds."""
    maintenance_page: NotRequired[str]
    """An HTML file of the app, shown with 503 after `release maintenance on`; else a plain page."""
    error_page: NotRequired[str]
    """An HTML file of the app, shown with 502, 503 or 504 while the app does not answer; else a plain page. What the app answers itself, errors too, is never replaced."""
    static: NotRequired[Mapping[str, str]]
    """Files that the proxy serves from disk: paths on the site, each with a folder (or file) of the app. What is not there the app is asked for. Without it `/static` is the folder `static` beside the entrypoint's module, as in Flask; with `{}` the app is asked for everything."""
    uploads: NotRequired[Sequence[str]]
    """Paths on the site, like `/uploads`, below which the proxy serves what the app wrote to the folder of the same name in `ORIGIN_SHARED`, which outlives releases. Everybody can read it."""
    rate_limit: NotRequired[RateLimitSettings]
    """How often one visitor may ask."""
    exclude: NotRequired[Sequence[str]]
    """Globs of files that stay at home, beside .git, .venv, __pycache__ and .env files."""


class TimeoutsSettings(TypedDict):
    """The proxy's patience."""

    header: NotRequired[int]
    """For a request's headers. Seconds."""
    body: NotRequired[int]
    """For a request's body. Seconds."""
    response: NotRequired[int]
    """For the app's answer to begin. Seconds."""
    idle: NotRequired[int]
    """For the next request on an open connection. Seconds."""


class ProxySettings(TypedDict):
    """The reverse proxy on the machine."""

    kind: NotRequired[str]
    """The proxy. The host is made for it: another one replaces the host."""
    max_body: NotRequired[str]
    """The largest request body (upload)."""
    buffer_uploads: NotRequired[bool]
    """Whether the app gets a request only once its body is whole, so that slow uploads hold no worker, or as it comes. Caddy keeps bodies in memory (up to max_body each), nginx and Apache in files."""
    timeouts: NotRequired[TimeoutsSettings]
    """Timeouts towards Cloudflare and the app."""


class EdgeSettings(TypedDict):
    """Cloudflare's side."""

    manage_zone_settings: NotRequired[bool]
    """Whether this stack owns the zone's settings (TLS, hotlinks). They hold for the whole zone: let one of its stacks own them, and write false in the others."""
    at_destroy: NotRequired[str]
    """What destroy does to those settings of the zone: leaves them, or puts back what they were when this stack first owned them (but for those that somebody changed since). An up with another word here changes nothing else. Restoring takes CLOUDFLARE_API_TOKEN in the environment."""
    client_ca: NotRequired[str]
    """A PEM file with the CA of the client certificate that Cloudflare shows to origins of this zone: what the stack that owns the zone's settings exports as `client_ca`. The others need it, for a zone has one client certificate. Without it this stack makes one and gives it to the zone."""
    minimum_tls: NotRequired[str]
    """The oldest TLS that visitors may use. In quotes."""
    hotlink_protection: NotRequired[bool]
    """Whether Cloudflare refuses images (gif, ico, jpg, png) to pages of other sites. Not written: as it is in the zone."""
    certificate_days: NotRequired[int]
    """How long the origin certificate lasts. It is renewed by `up` only."""
    purge_after_release: NotRequired[bool]
    """Whether Cloudflare's cache of `site.hostname` is emptied once `up` has made a release. Purging takes CLOUDFLARE_API_TOKEN in the environment, with the right to."""


class SiteArgs(TypedDict):
    """A site's settings, and its app's secrets."""

    site: SiteSettings
    """The site: its hostname, zone and redirects."""
    host: HostSettings
    """The machine."""
    operator: OperatorSettings
    """Who may reach the machine by SSH."""
    app: AppSettings
    """The app and its life."""
    proxy: NotRequired[ProxySettings]
    """The reverse proxy."""
    edge: NotRequired[EdgeSettings]
    """Cloudflare's side."""
    secrets: NotRequired[Mapping[str, pulumi.Input[str]]]
    """The app's secret environment. SECRET_KEY is made for you unless it is here."""
