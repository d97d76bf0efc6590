"""Secrets and credentials: what is refused, and that no refusal shows one."""

from __future__ import annotations

import base64
import random
import string

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from settings import SettingsError, check_secret_key, check_secrets, missing_credentials

STRONG = "r8Zb0Qk3Wn7Yx1Vt5Gd9Hs2Lf6Mj4PcTqUeAiOo"
DO = (
    "allowed: 32 random characters or more; do: remove it and one is made for you, or "
    '`pulumi config set --secret --path secrets.SECRET_KEY "$(openssl rand -base64 48)"`'
)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "has 0 characters"),
        ("Zx81-kQ", "has 7 characters"),
        (STRONG[:31], "has 31 characters"),
        ("a" * 64, "repeats itself"),
        ("ab1" * 20, "repeats itself"),
        ("f3k9Zq1Lw7" * 5, "repeats itself"),
        ("0000000011111111000000001111111122222222", "repeats itself"),
        (string.ascii_letters, "holds a placeholder's words"),
        (
            "".join(chr(c) for c in range(0x61, 0x7B))[7:] + "zyxwvutsrqponmlkjihgfedcba"[:19],
            "is a row of neighbouring characters",
        ),
        ("change-me-" + STRONG, "holds a placeholder's words"),
        ("this-is-my-super-Secret-key-for-flask", "holds a placeholder's words"),
        ("YOUR_SECRET_KEY_GOES_IN_HERE_32_CHARS", "holds a placeholder's words"),
        ("p-a-s-s-w-o-r-d-" + STRONG, "holds a placeholder's words"),
    ],
)
def test_a_weak_secret_key_is_refused(value: str, problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        check_secret_key(value)
    assert str(error.value) == f"secrets.SECRET_KEY: {problem}; {DO}"


@effort(derandomize=True)
@given(st.integers(0, 2**64))
def test_a_random_secret_key_is_taken(seed: int) -> None:
    source = random.Random(seed)
    raw = source.randbytes(32)
    check_secret_key(raw.hex())
    check_secret_key(base64.b64encode(raw).decode())
    check_secret_key("".join(source.choices(string.ascii_letters + string.digits, k=64)))
    check_secret_key(raw[:16].hex())
    check_secret_key(base64.urlsafe_b64encode(source.randbytes(48)).decode())


def test_secrets_are_taken_by_name() -> None:
    values = {"SECRET_KEY": STRONG, "DATABASE_URL": "postgresql://u:p@db/x", "MULTI": "a\nb"}
    assert check_secrets(values, {"GREETING": "hello"}) == values
    assert check_secrets(None, {}) == check_secrets({}, {}) == {}


def test_every_wrong_secret_is_named_and_none_is_shown() -> None:
    values = {
        "SECRET_KEY": "hunter2",
        "B-AD": "hunter2",
        "RELEASE": "hunter2",
        "GREETING": "hunter2",
        "N": 7,
        "EMPTY": "",
        "NUL": "hunter2\0",
    }
    with pytest.raises(SettingsError) as error:
        check_secrets(values, {"GREETING": "hello"})
    assert list(error.value.lines) == [
        f"secrets.SECRET_KEY: has 7 characters; {DO}",
        'secrets.B-AD: "B-AD" is no name for an environment variable; allowed: letters, digits and _, no digit first',
        "secrets.RELEASE: RELEASE is reserved: the host sets it; do: remove it",
        "secrets.GREETING: is in app.environment too; do: remove one of the two",
        "secrets.N: is a number, not text; do: write the value in quotes",
        "secrets.EMPTY: is empty; do: use `pulumi config set --secret --path secrets.EMPTY`, or remove it",
        "secrets.NUL: holds a control character other than tab and newline; do: retype it, or encode it in base64",
    ]
    assert "hunter2" not in str(error.value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_nonsense_instead_of_secrets_is_refused_or_taken(value: object) -> None:
    try:
        taken = check_secrets(value, {})
    except SettingsError as error:
        assert all(line.startswith("secrets") and line.isprintable() for line in error.lines)
    else:
        assert all(isinstance(name, str) and isinstance(secret, str) for name, secret in taken.items())


CLOUDFLARE = (
    "CLOUDFLARE_API_TOKEN: is missing; do: export CLOUDFLARE_API_TOKEN, "
    "or `pulumi config set --secret cloudflare:apiToken`"
)
DIGITALOCEAN = (
    "DIGITALOCEAN_TOKEN: is missing; do: export DIGITALOCEAN_TOKEN, or `pulumi config set --secret digitalocean:token`"
)


@pytest.mark.parametrize(
    ("cloud", "environ", "config", "lines"),
    [
        ("digitalocean", {}, set(), [CLOUDFLARE, DIGITALOCEAN]),
        ("digitalocean", {"CLOUDFLARE_API_TOKEN": "x"}, set(), [DIGITALOCEAN]),
        ("digitalocean", {"CLOUDFLARE_API_TOKEN": " "}, {"digitalocean:token"}, [CLOUDFLARE]),
        ("digitalocean", {"DIGITALOCEAN_ACCESS_TOKEN": "x"}, {"cloudflare:apiToken"}, []),
        ("aws", {}, set(), [CLOUDFLARE]),
        ("aws", {}, {"cloudflare:apiToken"}, []),
    ],
)
def test_missing_credentials_are_named(cloud: str, environ: dict[str, str], config: set[str], lines: list[str]) -> None:
    assert missing_credentials(cloud, environ, config.__contains__) == lines


def test_what_restores_the_zone_reads_its_token_from_the_environment_alone() -> None:
    kept, by_itself = {"cloudflare:apiToken"}, {"edge.at_destroy: restore": "keep", "edge.purge": "false"}
    assert missing_credentials("aws", {}, kept.__contains__, by_itself=by_itself) == [
        "edge.at_destroy: restore reads CLOUDFLARE_API_TOKEN, which is not exported; do: export it, or write keep",
        "edge.purge reads CLOUDFLARE_API_TOKEN, which is not exported; do: export it, or write false",
    ]
    given = {"CLOUDFLARE_API_TOKEN": "x"}
    assert missing_credentials("aws", given, kept.__contains__, by_itself=by_itself) == []
    assert missing_credentials("aws", {}, set[str]().__contains__, by_itself=by_itself) == [CLOUDFLARE]
