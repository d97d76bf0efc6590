"""A small valid configuration, and ways to change one thing in it."""

from __future__ import annotations

import copy
from typing import Any

from settings import SettingsError, load

Config = dict[str, Any]

VALID: Config = {
    "site": {"zone": "example.com", "hostname": "www.example.com", "redirects": ["example.com"]},
    "host": {"cloud": "digitalocean", "region": "nyc3", "size": "s-2vcpu-2gb"},
    "operator": {"ranges": ["203.0.113.7", "2001:db8:7::/64"]},
    "app": {
        "source": "../app",
        "entrypoint": "shop.wsgi:create_app()",
        "server": {"kind": "waitress", "threads": 4},
        "environment": {"GREETING": "hello"},
        "release_command": "flask db upgrade",
        "health": {"path": "/health", "timeout": 20},
    },
    "proxy": {"kind": "caddy", "max_body": "16MiB", "timeouts": {"body": 30}},
    "edge": {"minimum_tls": "1.3"},
}


def having(path: str, value: object) -> Config:
    """VALID with the value at a dotted path."""
    config = copy.deepcopy(VALID)
    *sections, last = path.split(".")
    section = config
    for name in sections:
        section = section[name]
    section[last] = value
    return config


def lacking(path: str) -> Config:
    """VALID without what is at a dotted path."""
    config = copy.deepcopy(VALID)
    *sections, last = path.split(".")
    section = config
    for name in sections:
        section = section[name]
    del section[last]
    return config


def refusal(config: Config) -> list[str]:
    """The lines with which a configuration is refused; none when it is not."""
    try:
        load(config)
    except SettingsError as error:
        assert str(error).splitlines() == list(error.lines)
        return list(error.lines)
    return []
