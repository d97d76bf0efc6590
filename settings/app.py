"""The app and its life."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainSerializer, ValidationInfo, model_validator
from pydantic import field_validator as validates

from settings.fields import (
    AppFile,
    AppPath,
    Command,
    CountedPath,
    Entrypoint,
    EnvironmentName,
    EnvironmentValue,
    Listed,
    Pattern,
    Refused,
    Sha256,
    Source,
    UrlFolder,
    UrlPath,
    remote,
    shown,
)
from settings.section import Seconds, Section
from settings.server import Server, Waitress

Static = Annotated[Mapping[UrlFolder, AppPath], AfterValidator(MappingProxyType), PlainSerializer(dict)]


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


class Health(Section):
    """How a new release proves itself before it takes over."""

    path: UrlPath = Field(
        default="/", description="Asked with the site's hostname; any 2xx is healthy, a redirect is not."
    )
    timeout: int = Seconds(1, 600, 30, "How long a new release may take until it is healthy.")


class RateLimit(Section):
    """How often one visitor (an address, in IPv6 its /64) may ask: 429 and Retry-After beyond."""

    requests: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests in `seconds`, on average. Left out: no limit."
    )
    seconds: int = Seconds(1, 86_400, 60, "The time that `requests` is for.")
    burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Requests that may come at once. Left out: as many as `requests`."
    )
    paths: Listed[CountedPath] = Field(
        default=(),
        description="What is counted: these paths and what is below them, together. Empty: all that reaches the app.",
    )

    @model_validator(mode="after")
    def _of_some_requests(self) -> Self:
        if self.requests is None and self.model_fields_set - {"requests"}:
            raise Refused("has no `requests`, so nothing is limited", do="add them, or remove the section")
        return self


class App(Section):
    """The app and its life."""

    source: Source = Field(
        description="The app's folder: a path from the project's folder (Pulumi.yaml's) or from /. Or what the host "
        "fetches: https://….tar.gz (.tgz, .zip) with `sha256`, or git+https://…@ and a commit's 40 digits."
    )
    sha256: Sha256 | None = Field(
        default=None, validate_default=True, description="Of an archive on the web: what `sha256sum` prints."
    )
    entrypoint: Entrypoint | None = Field(
        default=None,
        validate_default=True,
        description="The WSGI callable, a factory to call for it, or a file with `application`. In a folder it may be "
        "left to a Procfile, to WSGIPath in .ebextensions, or to a WSGI file with `application`.",
    )
    server: Server = Field(default=Waitress(), description="The WSGI server and its options.")
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
    drain: int = Seconds(0, 600, 30, "How long an old release, or host, may finish its requests.")
    maintenance_page: AppFile | None = Field(
        default=None,
        description="An HTML file of the app, shown with 503 after `release maintenance on`; else a plain page.",
    )
    error_page: AppFile | None = Field(
        default=None,
        description="An HTML file of the app, shown with 502, 503 or 504 while the app does not answer; else a plain "
        "page. What the app answers itself, errors too, is never replaced.",
    )
    static: Static | None = Field(
        default=None,
        description="Files that the proxy serves from disk: paths on the site, each with a folder (or file) of the "
        "app. What is not there the app is asked for. Without it `/static` is the folder `static` beside the "
        "entrypoint's module, as in Flask; with `{}` the app is asked for everything.",
    )
    uploads: Listed[UrlFolder] = Field(
        default=(),
        description="Paths on the site, like `/uploads`, below which the proxy serves what the app wrote to the folder "
        "of the same name in `ORIGIN_SHARED`, which outlives releases. Everybody can read it.",
    )
    rate_limit: RateLimit = Field(default=RateLimit(), description="How often one visitor may ask.")
    exclude: Listed[Pattern] = Field(
        default=(),
        description="Globs of files that stay at home, beside .git, .venv, __pycache__ and .env files.",
    )

    @validates("sha256")
    @classmethod
    def _of_an_archive(cls, value: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("source")
        if source and source.startswith("https://") and not value:
            raise Refused("is missing", do=f"add what `curl -L {source} | sha256sum` prints, once you trust it")
        if source and value and not source.startswith("https://"):
            raise Refused(
                f"is for an archive on the web, and app.source is {shown(source)}",
                do="remove it" + ": the commit says as much" * remote(source),
            )
        return value

    @validates("entrypoint")
    @classmethod
    def _known_before(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and remote(info.data.get("source", "")):
            raise Refused("is missing, and only in a folder can it be looked for", do="add it")
        return value

    @validates("uploads")
    @classmethod
    def _apart(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        written: Mapping[str, str] | None = info.data.get("static")
        static = ("/static",) if written is None else tuple(written)
        for path in value:
            if other := next((each for each in static if _overlap(path, each)), None):
                raise Refused(f"{shown(path)} and app.static's {shown(other)} are one in the other", do="rename one")
        return value

    @validates("exclude")
    @classmethod
    def _of_a_folder(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and remote(info.data.get("source", "")):
            raise Refused("is for a folder, and the host fetches app.source whole", do="remove it")
        return value
