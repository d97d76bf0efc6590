"""Each kind of value alone."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from settings import fields
from settings.fields import Refused

ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.binary()
KINDS: list[Callable[[object], object]] = [
    fields.hostname, fields.operator_range, fields.ssh_public_key, fields.entrypoint, fields.environment_name,
    fields.plain_environment_name, fields.environment_text, fields.environment_value, fields.command,
    fields.folder, fields.source, fields.sha256, fields.app_file, fields.pattern, fields.url_path, fields.size,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(value=ANYTHING)
def test_whatever_comes_is_taken_or_refused_in_one_line(kind: Callable[[object], object], value: object) -> None:
    try:
        taken = kind(value)
    except Refused as refused:
        assert str(refused) and str(refused).isprintable()
    else:
        # What was tidied once stays as it is; a size has become a number.
        assert kind is fields.size or kind(taken) == taken


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("example.com", "example.com"),
        ("WWW.Example.COM.", "www.example.com"),
        ("a-b.c0.example.co.uk", "a-b.c0.example.co.uk"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_hostname(written: str, read: str) -> None:
    assert fields.hostname(written) == read


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "is empty"),
        ("localhost", "is not a full hostname"),
        ("example..com", "is not a full hostname"),
        ("-a.example.com", "is not a full hostname"),
        ("a_b.example.com", "is not a full hostname"),
        ("a b.example.com", "is not a full hostname"),
        ("example.123", "is not a full hostname"),
        (f"{'a' * 64}.example", "is not a full hostname"),
        (f"{'a.' * 130}example", "is longer than a hostname can be"),
        ("192.0.2.1", "is an address"),
        ("2001:db8::1", "is more than a hostname"),
        ("example.com:443", "is more than a hostname"),
        ("*.example.com", "is a wildcard"),
        ("example.com\n", "holds a control character"),
        ("bücher.example", "do: write xn--bcher-kva.example"),
        (None, "null is not text"),
    ],
)
def test_no_hostname(written: object, why: str) -> None:
    with pytest.raises(Refused, match=why):
        fields.hostname(written)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("current", "current"),
        ("198.51.100.7", "198.51.100.7/32"),
        ("198.51.100.0/28", "198.51.100.0/28"),
        ("10.20.0.0/16", "10.20.0.0/16"),
        ("2001:DB8:0::1", "2001:db8::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_operator_range(written: str, read: str) -> None:
    assert fields.operator_range(written) == read


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("0.0.0.0/0", "lets in the whole world"),
        ("::/0", "lets in the whole world"),
        ("198.51.100.7/0", "lets in the whole world"),
        ("128.0.0.0/1", "too wide .* IPv4 ranges of /16 or narrower"),
        ("10.0.0.0/15", "too wide"),
        ("2000::/3", "too wide .* IPv6 ranges of /32 or narrower"),
        ("198.51.100.7/24", "do: write 198.51.100.0/24 for the whole range or 198.51.100.7 for the one address"),
        ("2001:db8::1/64", "bits set beyond /64; .* write 2001:db8::/64 .* or 2001:db8::1 "),
        ("0.0.0.0", "never a source address"),
        ("127.0.0.1", "never a source address"),
        ("224.0.0.0/16", "never a source address"),
        ("fe80::1%eth0", "never a source address"),
        ("::ffff:198.51.100.7", "never a source address"),
        ("198.51.100.07", "is not a range"),
        ("198.51.100.0/33", "is not a range"),
        ("office.example.com", "is not a range"),
        ("Current", "is not a range"),
        (3325256711, "is not text"),
    ],
)
def test_no_operator_range(written: object, why: str) -> None:
    with pytest.raises(Refused, match=why):
        fields.operator_range(written)


@given(st.ip_addresses(), st.integers(0, 128))
def test_no_operator_range_is_ever_wider_than_the_widest(address: object, length: int) -> None:
    try:
        taken = fields.operator_range(f"{address}/{length}")
    except Refused:
        return
    assert int(taken.partition("/")[2]) >= fields.WIDEST[6 if ":" in taken else 4]


def _openssh(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey,
) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_ssh_public_keys_of_every_good_type() -> None:
    keys = [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ]
    for key in keys:
        line = _openssh(key)
        assert fields.ssh_public_key(f"  {line}   me@laptop  of mine\n") == f"{line} me@laptop of mine"


def test_no_ssh_public_key() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    line = _openssh(key)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    cases = [
        (private, "is a private key"),
        (f"{line}\n{line}", "is more than one line"),
        ("/home/me/.ssh/id_ed25519.pub", "is a file's name"),
        (f'from="198.51.100.7" {line}', "does not start with a key's type"),
        (line[:-4], "is not a whole public key"),
        (line.replace("ssh-ed25519", "ssh-rsa"), "is not a whole public key"),
        ("ssh-ed25519", "is not a whole public key"),
        (
            _openssh(rsa.generate_private_key(65537, 1024)),
            "is an RSA key of 1024 bits; allowed: RSA of 2048 bits or more",
        ),
        (line.replace("ssh-ed25519", "ssh-dss"), "does not start with a key's type"),
        (["ssh-ed25519"], "is not text"),
    ]
    for written, why in cases:
        with pytest.raises(Refused, match=why) as refused:
            fields.ssh_public_key(written)
        # Not a byte of a pasted key comes back.
        assert line.split()[1][20:40] not in str(refused.value) and private[60:100] not in str(refused.value)


@pytest.mark.parametrize(
    "written",
    [
        *("hello:app", "shop.wsgi:application", "shop:create_app()", "a.b:c.d", "_a1:_b2"),
        *(
            "shop:create_app('prod', debug=False)",
            "shop:create_app({'A': [1, None]})",
            "wsgi.py",
            "deploy/shop-wsgi.py",
        ),
    ],
)
def test_entrypoint(written: str) -> None:
    assert fields.entrypoint(written) == written


@pytest.mark.parametrize(
    ("written", "do"),
    [
        ("hello", "do: write hello:app"),
        ("../wsgi.py", "names no callable"),
        ("/srv/wsgi.py", "names no callable"),
        ("hello.py:app", "do: write hello:app"),
        ("./shop/wsgi.py:app", "do: write shop.wsgi:app"),
        ("shop:create_app(open('/etc/passwd'))", "more than plain values"),
        ("shop:create_app(**{})", "more than plain values"),
        ("shop:create_app(1) or quit()", "more than plain values"),
        ("shop:create app", "is not an entrypoint"),
        (":app", "is not an entrypoint"),
        ("shop:app; rm -rf /", "is not an entrypoint"),
        ("shop:app()()", "more than plain values"),
    ],
)
def test_no_entrypoint(written: str, do: str) -> None:
    with pytest.raises(Refused) as refused:
        fields.entrypoint(written)
    assert do in str(refused.value)


@pytest.mark.parametrize("name", ["MAIL_SERVER", "KEYBOARD", "TOKEN_TTL", "PUBLIC_KEY", "CACHE_KEY_PREFIX", "_x", "a1"])
def test_plain_environment_name(name: str) -> None:
    assert fields.plain_environment_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "DB_PASSWORD",
        "db_password",
        "TOKEN",
        "GITHUB_TOKEN_PROD",
        "AWS_SECRET_ACCESS_KEY",
        "STRIPE_API_KEY",
    ],
)
def test_names_of_secrets_are_no_plain_names(name: str) -> None:
    with pytest.raises(Refused, match=f"do: use `pulumi config set --secret --path secrets.{name}`"):
        fields.plain_environment_name(name)
    assert fields.environment_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("RELEASE", "reserved: the host sets it"),
        ("LISTEN_FDS", "reserved: the host sets it"),
        ("LD_PRELOAD", "reserved: it changes which code runs"),
        ("PYTHONPATH", "reserved: it changes which code runs"),
        ("FLASK_DEBUG", "reserved: a production site never runs in debug mode"),
        ("GUNICORN_CMD_ARGS", "reserved: app.server holds the server's options"),
        ("1A", "no name for an environment variable"),
        ("A-B", "no name for an environment variable"),
        ("A=B", "no name for an environment variable"),
        ("Ä", "no name for an environment variable"),
    ],
)
def test_no_environment_name(name: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        fields.environment_name(name)


@pytest.mark.parametrize(
    "value", ["", "a b", "line\nline\ttab", "ünïcode \u200d\u00a0", "http://cache:6379/0", "a@b.example"]
)
def test_environment_value(value: str) -> None:
    assert fields.environment_value(value) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("redis://:hunter2@cache:6379", "holds a password"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "holds a password or private key"),
        ("hunter2\0", "holds a control character"),
        ("hunter2\ud800", "holds a control character"),
        ("hunter2" * 15_000, "is longer than 100000 bytes"),
        (True, "is a boolean, not text"),
        (["hunter2"], "is a list, not text"),
    ],
)
def test_no_environment_value_and_none_is_shown(value: object, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        fields.environment_value(value)
    assert "hunter2" not in str(refused.value)


def test_command() -> None:
    assert fields.command("flask --app 'my shop' db upgrade") == ("flask", "--app", "my shop", "db", "upgrade")
    assert fields.command(["sh", "-c", "a && b | c"]) == ("sh", "-c", "a && b | c")


@pytest.mark.parametrize(
    "written", ["", "  ", [], [""], "'open", "a | b", "a > b", "echo $HOME", "a; b", ["a", 1], {"a": 1}, 7, ["a\0"]]
)
def test_no_command(written: object) -> None:
    with pytest.raises(Refused):
        fields.command(written)


@pytest.mark.parametrize(
    ("written", "read"), [("1KB", 1000), ("10MB", 10**7), ("16 MiB", 2**24), ("1gib", 2**30), ("5000B", 5000)]
)
def test_size(written: str, read: int) -> None:
    assert fields.size(written) == read


@pytest.mark.parametrize(
    "written", ["10", "MB", "10XB", "-1MB", "1.5MB", "999B", "6GB", "9" * 40 + "KB", "\uff110MB", 10, None]
)
def test_no_size(written: object) -> None:
    with pytest.raises(Refused):
        fields.size(written)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "written",
    [
        "../app",
        "https://example.com/app-1.2.tar.gz",
        "https://example.com:8443/app.tgz",
        "https://[2001:db8::1]/App.ZIP",
        f"git+https://example.com/me/app.git@{COMMIT}",
    ],
)
def test_sources(written: str) -> None:
    assert fields.source(written) == written
    assert fields.remote(written) == ("://" in written)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("http://example.com/app.tar.gz", "is not encrypted"),
        (f"git+http://example.com/app@{COMMIT}", "is not encrypted"),
        (f"git+ssh://git@example.com/app@{COMMIT}", "is nothing that the host can fetch"),
        ("git@example.com:me/app.git", "is nothing that the host can fetch"),
        ("ftp://example.com/app.tar.gz", "is nothing that the host can fetch"),
        ("https://me:hunter2@example.com/app.tar.gz", "has a user or a password"),
        ("https://example.com/app.tar.gz?token=x", "has more, or less"),
        ("https:///app.tar.gz", "has more, or less"),
        ("https://example.com/me/app", "is not an archive"),
        ("https://example.com:http/app.zip", "is not a URL"),
        ("git+https://example.com/app", "names no commit"),
        ("git+https://example.com/app@main", '"main" is a branch, a tag or short'),
        (f"git+https://example.com/app@{COMMIT[:12]}", "is a branch, a tag or short"),
        ("~/app", "starts with ~"),
    ],
)
def test_no_source(written: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem) as refused:
        fields.source(written)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("written", ["~/app", "git@example.com:a/b", "https://example.com/a.git", "", "a\nb"])
def test_no_folder(written: str) -> None:
    with pytest.raises(Refused):
        fields.folder(written)


@pytest.mark.parametrize("written", ["health", "//other.example/", "/a b", "/a#b", "/ä", "/a\\b", "https://x/"])
def test_no_path(written: str) -> None:
    with pytest.raises(Refused):
        fields.url_path(written)


def test_annotated_types_work_in_any_model() -> None:
    assert TypeAdapter(fields.Hostname).validate_python("A.example") == "a.example"
    assert TypeAdapter(fields.OperatorRanges).validate_python("current") == ("current",)
    assert TypeAdapter(fields.Listed[fields.Pattern]).validate_python(["*.db"]) == ("*.db",)


@given(st.text(alphabet=string.printable + "\x85\u2028\u202e\ud800é漢", max_size=200))
def test_a_value_is_shown_on_one_line_of_bounded_length(text: str) -> None:
    assert fields.shown(text).isprintable()
    assert len(fields.shown(text)) <= 80 * 6
