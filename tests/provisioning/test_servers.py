from __future__ import annotations

import ast
import re

import pytest

from provisioning import servers
from settings import Waitress


def arguments(argv: list[str]) -> dict[str, object]:
    call = ast.parse(argv[-1]).body[-1]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.value.keywords}


def test_waitress_trusts_one_hop_on_a_socket_that_the_proxy_can_open() -> None:
    given = arguments(servers.Waitress().run("app:app"))
    assert given["unix_socket"] == "{socket}"
    assert given["unix_socket_perms"] == "660"
    assert (given["trusted_proxy"], given["trusted_proxy_count"]) == ("*", 1)
    assert str(given["trusted_proxy_headers"]).split() == ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
    assert given["clear_untrusted_proxy_headers"] is True
    assert not given.keys() & {"host", "port", "listen"}


def test_waitress_gets_the_stack_s_options() -> None:
    settings = Waitress(threads=3, connection_limit=44, channel_timeout=55, max_request_header_size=66_666)
    given = arguments(servers.server(settings).run("app:app"))
    assert {name: given[name] for name in ("threads", "connection_limit", "channel_timeout")} == {
        "threads": 3,
        "connection_limit": 44,
        "channel_timeout": 55,
    }
    assert given["max_request_header_size"] == 66_666


@pytest.mark.parametrize(
    ("entrypoint", "imported", "served"),
    [
        ("app:app", "app", "app.app"),
        ("site.web:create_app()", "site.web", "site.web.create_app()"),
        ("serve:app.wsgi", "serve", "serve.app.wsgi"),
    ],
)
def test_the_entrypoint_is_imported_and_served(entrypoint: str, imported: str, served: str) -> None:
    lines = servers.Waitress().run(entrypoint)[-1].splitlines()
    assert lines[1] == f"import {imported}"
    assert lines[2].startswith(f"waitress.serve({served}, ")


@pytest.mark.parametrize("kind", servers.KINDS)
def test_every_server_is_pinned_at_a_safe_version(kind: str) -> None:
    server = servers.KINDS[kind]
    pinned = re.fullmatch(rf"{server.package}==([0-9.]+)( --hash=sha256:[0-9a-f]{{64}})+", server.requirement)
    assert pinned
    assert tuple(map(int, pinned[1].split("."))) >= tuple(map(int, server.oldest_safe.split(".")))


def test_the_settings_know_the_same_kinds() -> None:
    assert servers.KINDS.keys() == {Waitress().kind}
