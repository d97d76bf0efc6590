"""Every proxy and every server that the settings offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from provisioning.proxies import PROGRAMS, Kind
from settings import App

PROXIES: Sequence[Kind] = tuple(PROGRAMS)
VARIANTS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "gunicorn": ("worker_class", ("gthread", "sync", "gevent", "eventlet")),
    "uwsgi": ("gevent", (None, 100)),
}
"""Servers that serve in several ways: the setting, and its values. None: the setting is left out."""


def sections() -> dict[str, type[BaseModel]]:
    """The settings' model of each server, by its kind."""
    annotation: Any = App.model_fields["server"].annotation
    models = get_args(annotation) or (annotation,)
    return {model.model_fields["kind"].default: model for model in models}


def servers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each server's name here, and its `app.server` settings."""
    for kind in sections():
        option, values = VARIANTS.get(kind, ("", (None,)))
        for value in values:
            if value is None:
                yield kind, {"kind": kind}
            else:
                yield f"{kind} {option if isinstance(value, int) else value}", {"kind": kind, option: value}
