from __future__ import annotations

from typing import Any

import pytest

from origin_server import path


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"SCRIPT_NAME": "/a%2Fb", "PATH_INFO": "/", "REQUEST_URI": "/a%2Fb?c=%2F"}, "/a/b"),
        ({"SCRIPT_NAME": "//a//b", "PATH_INFO": "/", "REQUEST_URI": "//a//b"}, "//a//b"),
        ({"SCRIPT_NAME": "/\xc3\xa9", "PATH_INFO": "/", "REQUEST_URI": "/%C3%A9%FF"}, "/\xc3\xa9\xff"),
        ({"SCRIPT_NAME": "", "PATH_INFO": "/", "REQUEST_URI": "/?a"}, "/"),
        ({"PATH_INFO": "/routed", "REQUEST_URI": "/as/written"}, "/routed"),
    ],
)
def test_the_path_is_as_it_was_written(environ: dict[str, Any], found: str) -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return []

    list(path.of_apache(app)(dict(environ), lambda *_: None))
    assert (seen.get("SCRIPT_NAME", ""), seen["PATH_INFO"]) == ("", found)
