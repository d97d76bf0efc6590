from __future__ import annotations

import re
from typing import Any

import pytest

from origin_server import hop

PROXY = {
    "HTTP_X_FORWARDED_FOR": "2001:db8::7",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "example.com",
}
BARE = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "", "HTTP_HOST": "x", "wsgi.url_scheme": "http"}


def through(environ: dict[str, Any], *, access_log: bool = False) -> dict[str, Any]:
    """What the app sees."""
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("404 NOT FOUND", [])
        return []

    list(hop.behind_one_hop(app, access_log)(dict(environ), lambda *_: None))
    return seen


def test_the_app_sees_the_visitor() -> None:
    seen = through(BARE | PROXY | {"REMOTE_PORT": "1", "REMOTE_HOST": "y", "SERVER_NAME": "z", "SERVER_PORT": "80"})
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == ("2001:db8::7", "https", "example.com")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("example.com", "443")
    assert not {"REMOTE_PORT", "REMOTE_HOST"} & seen.keys()


@pytest.mark.parametrize(
    "name",
    ["HTTP_FORWARDED", *(f"HTTP_X_FORWARDED_{x}" for x in ("PORT", "PREFIX", "SERVER", "BY", "SSL", "SCHEME", "USER"))],
)
def test_what_the_proxy_does_not_say_is_not_there(name: str) -> None:
    assert name not in through(BARE | PROXY | {name: "evil"})


@pytest.mark.parametrize("name", ["HTTP_X_REAL_IP", "HTTP_REMOTE_ADDR", "HTTP_X_URL_SCHEME", "HTTP_SCRIPT_NAME"])
def test_other_headers_change_nothing(name: str) -> None:
    assert through(BARE | PROXY | {name: "evil"}) == through(BARE | PROXY) | {name: "evil"}


def test_without_a_proxy_nothing_is_made_up() -> None:
    seen = through(BARE)
    assert {name: seen[name] for name in BARE} == BARE


def test_one_line_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    through(BARE | PROXY | {"PATH_INFO": '/a b\n127.0.0.1 "', "HTTP_X_REQUEST_ID": "id"}, access_log=True)
    line, end = capsys.readouterr().out.split("\n")
    assert re.fullmatch(r'2001:db8::7 "GET /a%20b%0A127\.0\.0\.1%20%22" 404 \d+ms id', line)
    assert end == ""
    through(BARE | PROXY | {"HTTP_X_REQUEST_ID": "id"})
    through(BARE | PROXY, access_log=True)  # the release tool's health check
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("said", "terminated"),
    [
        ({}, False),
        ({"CONTENT_LENGTH": "3", "wsgi.input_terminated": True}, False),
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ({"CONTENT_LENGTH": "3", "HTTP_TRANSFER_ENCODING": "chunked"}, False),
    ],
)
def test_a_body_with_a_length_is_not_said_to_end_by_itself(said: dict[str, Any], terminated: bool) -> None:
    """Werkzeug then compares the two, and an upload that broke off is not taken for whole."""
    assert ("wsgi.input_terminated" in through(BARE | said)) == terminated
