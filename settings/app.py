"""The app and its life."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer

from settings.fields import (
    AppFile,
    Command,
    Entrypoint,
    EnvironmentName,
    EnvironmentValue,
    Folder,
    Listed,
    Pattern,
    UrlPath,
)
from settings.section import Seconds, Section
from settings.server import Server, Waitress


class Health(Section):
    """How a new release proves itself before it takes over."""

    path: UrlPath = Field(
        default="/", description="Asked with the site's hostname; any 2xx is healthy, a redirect is not."
    )
    timeout: int = Seconds(1, 600, 30, "How long a new release may take until it is healthy.")


class App(Section):
    """The app and its life."""

    source: Folder = Field(description="The app's folder: a path from the project's folder (Pulumi.yaml's) or from /.")
    entrypoint: Entrypoint = Field(
        description="The WSGI callable, a factory to call for it, or a file with `application`."
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
    exclude: Listed[Pattern] = Field(
        default=(),
        description="Globs of files that stay at home, beside .git, .venv, __pycache__ and .env files.",
    )
