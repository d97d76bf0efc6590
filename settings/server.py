"""The WSGI servers and their options, which have the servers' own names.

An option that the stack writes wins over the app's own configuration file (gunicorn.conf.py, uwsgi.ini), which wins
over the defaults here. The socket, the user and whom to trust are the host's and in none of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from settings.fields import Refused
from settings.section import Seconds, Section


def AccessLog() -> Any:
    return Field(
        default=False,
        description="A line a request in the app's journal too; the proxy's access log has one of each already.",
    )


def Workers() -> Any:
    return Field(
        default=None, ge=1, le=256, description="Processes. Left out: as many as the host's cores and memory bear."
    )


class Waitress(Section):
    """Waitress: one process, several threads."""

    kind: Literal["waitress"] = Field(default="waitress", description="The WSGI server.")
    access_log: bool = AccessLog()
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


class Gunicorn(Section):
    """Gunicorn: several processes. An app's gunicorn.conf.py is read."""

    kind: Literal["gunicorn"] = Field(default="gunicorn", description="The WSGI server.")
    access_log: bool = AccessLog()
    worker_class: Literal["gthread", "sync", "gevent", "eventlet"] = Field(
        default="gthread", description="How a worker serves; eventlet comes with Gunicorn 25.3.0, the last that has it."
    )
    workers: int | None = Workers()
    threads: int | None = Field(default=None, ge=1, le=256, description="Threads of each gthread worker. Left out: 8.")
    worker_connections: int = Field(
        default=1000, ge=1, le=65_535, description="Connections of each gthread, gevent or eventlet worker."
    )
    # As long as the proxy waits for an answer: a shorter bound here would be a second, silent one.
    timeout: int = Seconds(1, 3600, 120, "A worker that is silent for longer is killed: of sync, a slow request.")
    # Less than the unit's own bound for a stop, 10 s.
    graceful_timeout: int = Seconds(1, 9, 8, "How long a stopping worker may finish; app.drain comes before it.")
    keepalive: int = Seconds(1, 3600, 2, "How long a silent connection is kept.")
    max_requests: int = Field(
        default=0, ge=0, le=10_000_000, description="Requests after which a worker is replaced; 0 is never."
    )
    max_requests_jitter: int = Field(
        default=0, ge=0, le=1_000_000, description="Up to so many more, so that not all are replaced at once."
    )
    # 8190 is the most that Gunicorn bounds.
    limit_request_line: int = Field(default=8190, ge=256, le=8190, description="The request's first line, in bytes.")
    limit_request_fields: int = Field(default=100, ge=10, le=32_768, description="Headers of one request.")
    limit_request_field_size: int = Field(default=32_768, ge=512, le=131_072, description="One header, in bytes.")

    @model_validator(mode="after")
    def _fits_the_worker_class(self) -> Self:
        if self.threads not in (None, 1) and self.worker_class != "gthread":
            raise Refused(
                f"threads: {self.threads} does not go with worker_class {self.worker_class}, which uses none",
                allowed="1, or worker_class gthread",
            )
        if "worker_connections" in self.model_fields_set and self.worker_class == "sync":
            raise Refused(
                "worker_connections does not go with worker_class sync, which has one at a time",
                do="remove the line, or choose gthread or gevent",
            )
        return self


class Uwsgi(Section):
    """uWSGI: several processes. An app's uwsgi.ini is read. Hyphens of its names are underscores here."""

    kind: Literal["uwsgi"] = Field(default="uwsgi", description="The WSGI server.")
    access_log: bool = AccessLog()
    processes: int | None = Workers()
    threads: int | None = Field(default=None, ge=1, le=256, description="Threads of each process. Left out: 8.")
    gevent: int | None = Field(
        default=None, ge=1, le=65_535, description="Greenlets of each process, in place of threads."
    )
    protocol: Literal["http", "uwsgi"] = Field(
        default="http",
        description="What the proxy speaks to it; `uwsgi` is its own protocol, which Nginx and Apache speak. Whoever "
        "opens that socket can run code as the app: it is open to the proxy alone, as the other is.",
    )
    # As long as the proxy waits for an answer.
    harakiri: int = Seconds(1, 3600, 120, "A process that works longer on one request is killed.")
    # A backlog longer than the kernel's is refused by uWSGI; Debian's is 4096.
    listen: int = Field(default=1024, ge=16, le=4096, description="Connections that may wait.")
    # The line and all headers must fit: https://uwsgi-docs.readthedocs.io/en/latest/ThingsToKnow.html
    buffer_size: int = Field(
        default=65_535, ge=4096, le=65_535, description="The request's line and headers together, in bytes."
    )
    max_requests: int = Field(
        default=0, ge=0, le=10_000_000, description="Requests after which a process is replaced; 0 is never."
    )
    reload_on_rss: int | None = Field(
        default=None, ge=32, le=65_536, description="MiB of memory at which a process is replaced."
    )

    @model_validator(mode="after")
    def _threads_or_greenlets(self) -> Self:
        if self.gevent and self.threads:
            raise Refused("gevent and threads are two ways to do the same", do="remove one of them")
        return self


class Granian(Section):
    """Granian: several processes, the HTTP part in Rust."""

    kind: Literal["granian"] = Field(default="granian", description="The WSGI server.")
    access_log: bool = AccessLog()
    workers: int | None = Workers()
    blocking_threads: int = Field(default=8, ge=1, le=256, description="Threads of each worker that the app runs in.")
    backlog: int = Field(default=1024, ge=128, le=65_535, description="Connections that may wait.")
    backpressure: int | None = Field(
        default=None, ge=1, le=65_535, description="Requests that a worker holds at once. Left out: backlog / workers."
    )
    workers_lifetime: int | None = Field(
        default=None, ge=60, le=31_536_000, description="Seconds after which a worker is replaced."
    )
    workers_max_rss: int | None = Field(
        default=None, ge=32, le=65_536, description="MiB of memory at which a worker is replaced."
    )
    http1_buffer_size: int = Field(
        default=417_792, ge=8192, le=4_194_304, description="The request's line and headers together, in bytes."
    )
    http1_header_read_timeout: int = Field(
        default=30_000, ge=1, le=60_000, description="How long the headers may take. Milliseconds."
    )


class Gevent(Section):
    """gevent's own server: one process, a greenlet for each request. For more than one core, Gunicorn with gevent."""

    kind: Literal["gevent"] = Field(default="gevent", description="The WSGI server.")
    access_log: bool = AccessLog()
    spawn: int = Field(default=1000, ge=1, le=65_535, description="Requests that are worked on at once.")
    backlog: int = Field(default=1024, ge=16, le=65_535, description="Connections that may wait.")


class Eventlet(Section):
    """Eventlet's own server: one process. A dead end: its authors plan to archive it; gevent is the way on."""

    kind: Literal["eventlet"] = Field(default="eventlet", description="The WSGI server.")
    access_log: bool = AccessLog()
    max_size: int = Field(default=1000, ge=1, le=65_535, description="Connections that are worked on at once.")
    socket_timeout: int = Seconds(1, 3600, 120, "How long a silent connection is kept.")
    url_length_limit: int = Field(default=8192, ge=256, le=65_536, description="The request's first line, in bytes.")


class Twisted(Section):
    """Twisted Web: one process, an event loop outside and threads inside."""

    kind: Literal["twisted"] = Field(default="twisted", description="The WSGI server.")
    access_log: bool = AccessLog()
    threads: int = Field(default=16, ge=1, le=256, description="Requests that are worked on at once.")
    timeout: int = Seconds(1, 3600, 120, "How long a silent connection is kept.")


class ModWsgi(Section):
    """Apache with mod_wsgi in daemon mode, both Debian's. Hyphens of its names are underscores here."""

    kind: Literal["mod_wsgi"] = Field(default="mod_wsgi", description="The WSGI server.")
    access_log: bool = AccessLog()
    processes: int | None = Workers()
    threads: int = Field(default=8, ge=1, le=256, description="Threads of each process.")
    # As long as the proxy waits for an answer.
    request_timeout: int = Seconds(1, 3600, 120, "A process whose requests take longer on average is replaced.")
    timeout: int = Seconds(1, 3600, 120, "How long a silent connection is kept.")
    maximum_requests: int = Field(
        default=0, ge=0, le=10_000_000, description="Requests after which a process is replaced; 0 is never."
    )
    limit_request_line: int = Field(default=8190, ge=256, le=65_536, description="The request's first line, in bytes.")
    limit_request_fields: int = Field(default=100, ge=10, le=32_768, description="Headers of one request.")
    limit_request_field_size: int = Field(default=32_768, ge=512, le=131_072, description="One header, in bytes.")


Server = Annotated[
    Waitress | Gunicorn | Uwsgi | Granian | Gevent | Eventlet | Twisted | ModWsgi, Field(discriminator="kind")
]
