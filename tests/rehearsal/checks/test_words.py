"""What the checks make of what they see, without a machine."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from rehearsal import checks
from rehearsal.checks import canaries, curl, knock, trial, visitor
from rehearsal.checks.line import Failed, Skipped, line, lines_of

SITE: Any = type("Site", (), {"hostname": "example.com", "url": "https://example.com"})()
SECRET = 'a "secret"/with=odd+signs'


def seen(*headers: tuple[str, str], **changes: str) -> dict[str, Any]:
    """What an app answers on /whoami."""
    right = {"remote_addr": "198.18.64.10", "scheme": "https", "host": "example.com"}
    told = [["X-Forwarded-For", "198.18.64.10"], ["X-Forwarded-Proto", "https"]]
    return {**right, "url": "https://example.com/whoami", "headers": [*told, *map(list, headers)], **changes}


def test_the_truth_passes() -> None:
    visitor._truth(seen(("Accept", "*/*")), "198.18.64.10", "example.com", "")


@pytest.mark.parametrize(
    "lie",
    [
        seen(remote_addr="6.6.6.6"),
        seen(scheme="http"),
        seen(host="evil.example"),
        seen(url="https://example.com/evil/whoami"),
        seen(("X-Forwarded-For", "198.18.64.10")),
        seen(("X_Forwarded_For", "6.6.6.6")),
        seen(("X-Real-Ip", "6.6.6.6")),
        seen(("X-Real-Ip", "6.6.6.6, 198.18.64.10")),
        seen(("Forwarded", "for=6.6.6.6")),
        seen(("X-Forwarded-Prefix", "/evil")),
        seen(("True-Client-IP", "198.18.64.10")),
    ],
)
def test_a_lie_does_not(lie: dict[str, Any]) -> None:
    with pytest.raises(Failed):
        visitor._truth(lie, "198.18.64.10", "example.com", "")


@pytest.mark.parametrize("offset", range(6))
def test_a_secret_is_found_in_base64_at_any_offset(offset: int) -> None:
    text = base64.b64encode(b"x" * offset + SECRET.encode() + b" and more").decode()
    assert canaries.found_in(text, {"it": SECRET}) == "it"


@pytest.mark.parametrize(
    "text", [SECRET, "a%20%22secret%22%2Fwith%3Dodd%2Bsigns", '{"k": "a \\"secret\\"/with=odd+signs"}']
)
def test_a_secret_is_found_however_it_is_quoted(text: str) -> None:
    assert canaries.found_in(f"before {text} after", {"it": SECRET}) == "it"


def test_nothing_is_found_where_nothing_is() -> None:
    assert canaries.found_in("a secret without odd signs", {"it": SECRET}) is None


def test_curl_without_an_answer() -> None:
    said = b'curl: (7) no\n{"errormsg":"no","http_code":0,"http_version":"0","remote_ip":"","url_effective":"u",'
    answer = curl.answer(b"", said + b'"num_redirects":0,"redirect_url":null}{\n}')
    assert (answer.status, str(answer), answer.location) == (0, "no", "")


def test_a_knock_at_nobody() -> None:
    assert knock.attempt(knock.Knock(address="127.0.0.1", port=1)).how == "refused"


@pytest.mark.parametrize("module", ["app.py", "app/__init__.py", "src/app.py"])
def test_an_edit_finds_the_entrypoints_module(tmp_path: Path, module: str) -> None:
    path = tmp_path / module
    path.parent.mkdir(exist_ok=True)
    path.write_text("app = None\n")
    trial.edited(tmp_path, "app:create()", "# edited")
    assert path.read_text() == "app = None\n\n# edited\n"


def test_whatever_goes_wrong_is_an_outcome() -> None:
    def broken(_: Any) -> str:
        raise OSError("first line\nsecond line")

    def lacking(_: Any) -> str:
        raise Skipped("it has none")

    outcome = line("It works")(broken).run(3, SITE)
    assert (outcome.status, outcome.number, outcome.title) == ("failed", 3, "It works")
    assert outcome.detail.startswith("OSError: first line (test_words.py:")
    assert line("It works")(lacking).run(3, SITE).status == "skipped"


def test_every_line_has_a_title_of_its_own() -> None:
    titles = [one.title for module in checks.CHECKS.values() for one in lines_of(module)]
    assert len(titles) == len(set(titles)) > 30
    assert set(checks._ALONE) == set(checks.CHECKS)


def test_a_check_that_is_not_there() -> None:
    nobody: Any = None
    with pytest.raises(ValueError, match="no check 10; there are 1, 2"):
        checks.run(nobody, only=[10])
