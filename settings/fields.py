"""The kinds of values that settings are made of: each an annotated type that checks, tidies and describes itself.

Every one raises Refused, which says what is wrong, what is allowed and what to do; none does any input or output.
"""

from __future__ import annotations

import ast
import ipaddress
import json
import re
import shlex
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema


class Refused(ValueError):
    """A value that a setting does not take. Each part is one plain clause; none ever repeats a secret."""

    def __init__(self, problem: str, *, allowed: str = "", do: str = "") -> None:
        parts = [problem, allowed and f"allowed: {allowed}", do and f"do: {do}"]
        super().__init__("; ".join(filter(None, parts)))


def shown(value: object) -> str:
    """A value as the user wrote it, in JSON, on one line, cut short where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return plain(text if len(text) <= 80 else f"{text[:77]}…")


def plain(text: str) -> str:
    """Text without line breaks or other characters that a terminal acts on."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Refused(f"{shown(value)} is not text", do="write it in quotes")
    if not value.strip():
        raise Refused("is empty", do="write a value or remove the line")
    if not value.isprintable():
        raise Refused("holds a control character", do="retype it as one plain line")
    return value


# ---- names on the network ----

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_A_HOSTNAME = "letters, digits and hyphens between dots, like www.example.com"


def hostname(value: object) -> str:
    """A full DNS name in lower case, without the trailing dot. Raises Refused."""
    name = _text(value).lower().removesuffix(".")
    if len(name) > 253:
        raise Refused(f"{shown(value)} is longer than a hostname can be", allowed=_A_HOSTNAME)
    if "/" in name or ":" in name:
        raise Refused(
            f"{shown(value)} is more than a hostname",
            allowed=_A_HOSTNAME,
            do="leave out scheme, port and path",
        )
    if "*" in name:
        raise Refused(f"{shown(value)} is a wildcard", allowed=_A_HOSTNAME, do="list each hostname")
    if not name.isascii():
        raise Refused(f"{shown(value)} is not ASCII", allowed=_A_HOSTNAME, do=_in_ascii(name))
    if re.fullmatch(r"[0-9.]+", name):
        raise Refused(f"{shown(value)} is an address", allowed=_A_HOSTNAME, do="write the name that visitors use")
    if not _HOSTNAME.fullmatch(name) or name.rsplit(".", 1)[1].isdigit():
        raise Refused(f"{shown(value)} is not a full hostname", allowed=_A_HOSTNAME)
    return name


def _in_ascii(name: str) -> str:
    try:
        return f"write {name.encode('idna').decode()}"
    except UnicodeError:
        return "write its ASCII form (xn--…)"


Hostname = Annotated[
    str,
    BeforeValidator(hostname),
    WithJsonSchema({"type": "string", "title": "hostname", "pattern": r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?$"}),
]

CURRENT = "current"
# An operator is a person, an office, a VPN or a CI runner. A wider range is somebody else's as well.
WIDEST = {4: 16, 6: 32}


def operator_range(value: object) -> str:
    """A network in CIDR form (a bare address is a network of one), or the word `current`. Raises Refused."""
    text = _text(value)
    if text == CURRENT:
        return CURRENT
    allowed = "an address, a range like 203.0.113.0/28 or 2001:db8:7::/64, or current"
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise Refused(f"{shown(value)} is not a range of addresses", allowed=allowed) from None
    network = interface.network
    if isinstance(interface, ipaddress.IPv6Interface) and (interface.scope_id or interface.ip.ipv4_mapped):
        raise Refused(f"{shown(value)} is never a source address on the internet", allowed=allowed)
    if network.prefixlen == 0:
        raise Refused(f"{shown(value)} lets in the whole world", allowed=allowed, do="name your own addresses")
    if interface.ip != network.network_address:
        raise Refused(
            f"{shown(value)} has bits set beyond /{network.prefixlen}",
            allowed=allowed,
            do=f"write {network} for the whole range or {interface.ip} for the one address",
        )
    if network.prefixlen < WIDEST[network.version]:
        raise Refused(
            f"{shown(value)} is too wide to be an operator's",
            allowed=f"IPv{network.version} ranges of /{WIDEST[network.version]} or narrower",
            do="name your own addresses",
        )
    if network.is_multicast or network.is_loopback or network.is_link_local or network.is_unspecified:
        raise Refused(f"{shown(value)} is never a source address on the internet", allowed=allowed)
    return str(network)


_RANGE_SCHEMA = {"type": "string", "title": "range", "pattern": r"^(current|[0-9A-Fa-f.:]+(/[0-9.]+)?)$"}
OperatorRange = Annotated[str, BeforeValidator(operator_range), WithJsonSchema(_RANGE_SCHEMA)]


def _operator_ranges(value: object) -> object:
    if value in ([], ()):
        raise Refused("is empty: nobody could set the machine up", do=f"write your own address, or {CURRENT}")
    return (CURRENT,) if value == CURRENT else value


# ---- keys ----

_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_RSA_BITS = 2048


def ssh_public_key(value: object) -> str:
    """One OpenSSH public key (type, base64, comment), parsed down to the numbers. Raises Refused, never showing it."""
    # Here, because only this needs it and its import costs a tenth of a second.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    allowed = "one line of a .pub file, like ssh-ed25519 AAAA… me@laptop"
    if not isinstance(value, str):
        raise Refused("is not text", allowed=allowed)
    if "PRIVATE KEY" in value:
        raise Refused(
            "is a private key",
            allowed=allowed,
            do="replace that key, it is no secret any more; write the .pub file's line",
        )
    if len(value.strip().splitlines()) > 1:
        raise Refused("is more than one line", allowed=allowed, do="write each key as its own item")
    text = _text(value.strip())
    kind, _, rest = text.partition(" ")
    if kind.startswith(("/", "~", ".")) or kind.endswith(".pub"):
        raise Refused(f"{shown(value)} is a file's name", allowed=allowed, do="write what the file says")
    if kind not in _KEY_TYPES:
        raise Refused("does not start with a key's type", allowed=f"{allowed}; types {', '.join(_KEY_TYPES)}")
    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Refused("is not a whole public key", allowed=allowed, do="copy the line again") from None
    if isinstance(key, RSAPublicKey) and key.key_size < _RSA_BITS:
        raise Refused(
            f"is an RSA key of {key.key_size} bits",
            allowed=f"RSA of {_RSA_BITS} bits or more",
            do="make one with ssh-keygen -t ed25519",
        )
    return " ".join((kind, *rest.split()))


SshPublicKey = Annotated[
    str,
    BeforeValidator(ssh_public_key),
    WithJsonSchema({"type": "string", "title": "public key", "pattern": r"^\s*(ssh|ecdsa|sk)-"}),
]

# ---- the app ----

_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_ENTRYPOINT = re.compile(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER}(\.{_IDENTIFIER})*(\(.*\))?")
_FILE = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.py")


def entrypoint(value: object) -> str:
    """Where the WSGI callable is: `module:name`, `module:factory(…)` to call for it, or a file with `application`.

    Raises Refused.
    """
    text = _text(value)
    allowed = "module:app, module:create_app(), module:create_app('production') or path/to/wsgi.py"
    module, colon, name = text.partition(":")
    if _FILE.fullmatch(text):
        return text
    if _ENTRYPOINT.fullmatch(text) and not module.endswith(".py"):
        if "(" in name and not _literal_call(name):
            raise Refused(
                f"{shown(value)} calls a factory with more than plain values",
                allowed=allowed,
                do="read them from the environment",
            )
        return text
    if not colon:
        raise Refused(
            f"{shown(value)} names no callable",
            allowed=allowed,
            do=f"write {plain(module.removesuffix('.py'))}:app",
        )
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        raise Refused(f"{shown(value)} names a file", allowed=allowed, do=f"write {plain(dotted)}:{plain(name)}")
    raise Refused(f"{shown(value)} is not an entrypoint", allowed=allowed)


def _literal_call(expression: str) -> bool:
    """That it is one call of a name with text, numbers and the like."""
    try:
        call = ast.parse(expression, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, (ast.Name, ast.Attribute))
        for value in [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg)]:
            ast.literal_eval(value)
    except (SyntaxError, ValueError, AssertionError, RecursionError, MemoryError):
        return False
    return all(keyword.arg for keyword in call.keywords)


Entrypoint = Annotated[
    str,
    BeforeValidator(entrypoint),
    WithJsonSchema(
        {
            "type": "string",
            "title": "module:callable",
            "pattern": rf"^({_ENTRYPOINT.pattern}|{_FILE.pattern})$",
        }
    ),
]

# What the host sets for the app, or what would change what runs: name -> why.
_BY_HOST = "the host sets it"
RESERVED = {
    "PORT": "the server listens on a socket of the host's choice",
    **dict.fromkeys(("RELEASE", "HOME", "USER", "LOGNAME", "SHELL", "PATH", "PWD", "VIRTUAL_ENV"), _BY_HOST),
    **dict.fromkeys(
        ("INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID", "MAINPID", "NOTIFY_SOCKET"), _BY_HOST
    ),
    **dict.fromkeys(("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "WATCHDOG_USEC"), _BY_HOST),
    **dict.fromkeys(
        ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "BASH_ENV", "ENV", "IFS"), "it changes which code runs"
    ),
    **dict.fromkeys(("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"), "app.server holds the server's options"),
    **dict.fromkeys(("FLASK_DEBUG", "FLASK_ENV"), "a production site never runs in debug mode"),
}
_RESERVED_PREFIXES = {
    "LD_": "it changes which code runs",
    "ORIGIN_": _BY_HOST,
    **dict.fromkeys(("UWSGI_", "GRANIAN_"), "app.server holds the server's options"),
}

_SECRET_WORDS = {
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "PWD",
}
_SECRET_KEYS = {"API", "ACCESS", "PRIVATE", "SIGNING", "ENCRYPTION", "MASTER", "AUTH"}
# TOKEN_TTL or PASSWORD_MIN_LENGTH say something about a secret and are none.
_ABOUT_SECRETS = {
    "TTL",
    "LENGTH",
    "LIFETIME",
    "EXPIRES",
    "EXPIRY",
    "AGE",
    "DAYS",
    "SECONDS",
    "ALGORITHM",
    "ISSUER",
    "AUDIENCE",
    "ENABLED",
    "URL",
    "NAME",
}
_AS_SECRET = "use `pulumi config set --secret --path secrets.{name}`"


def environment_name(value: object) -> str:
    """A name that an app's environment may carry, secret or not. Raises Refused."""
    text = _text(value)
    if not re.fullmatch(_IDENTIFIER, text):
        raise Refused(
            f"{shown(value)} is no name for an environment variable",
            allowed="letters, digits and _, no digit first",
        )
    reason = RESERVED.get(text) or next(
        (why for start, why in _RESERVED_PREFIXES.items() if text.startswith(start)), None
    )
    if reason:
        raise Refused(f"{text} is reserved: {reason}", do="remove it")
    return text


def plain_environment_name(value: object) -> str:
    """The same for the environment that is written in plain text: no name that announces a secret. Raises Refused."""
    name = environment_name(value)
    words = name.upper().split("_")
    keyed = any(word in _SECRET_KEYS and after == "KEY" for word, after in pairwise(words))
    if (keyed or _SECRET_WORDS & set(words)) and words[-1] not in _ABOUT_SECRETS:
        raise Refused(f"{name} looks like a secret", allowed="plain values only", do=_AS_SECRET.format(name=name))
    return name


def environment_text(value: object) -> str:
    """Text that an environment variable can hold, secret or not. Raises Refused, never showing it."""
    if not isinstance(value, str):
        kind = _JSON_TYPES.get(type(value), type(value).__name__)
        raise Refused(f"is a {kind}, not text", do="write the value in quotes")
    if re.search(r"[\0-\x08\x0b-\x1f\x7f\ud800-\udfff]", value):
        raise Refused("holds a control character other than tab and newline", do="retype it, or encode it in base64")
    if len(value.encode()) > _MOST_BYTES:
        raise Refused(f"is longer than {_MOST_BYTES} bytes", do="put it in a file of the app")
    return value


def environment_value(value: object) -> str:
    """The same for the environment that is written in plain text: nothing that has a password in it. Raises Refused."""
    text = environment_text(value)
    if "PRIVATE KEY-----" in text or re.search(r"://[^/\s:@]*:[^/\s@]+@", text):
        raise Refused("holds a password or private key", allowed="plain values only", do=_AS_SECRET.format(name="NAME"))
    return text


# Linux takes 128 KiB for one variable, its name and the = included.
_MOST_BYTES = 100_000
_JSON_TYPES = {
    bool: "boolean",
    int: "number",
    float: "number",
    list: "list",
    dict: "section",
    type(None): "null",
}

EnvironmentName = Annotated[
    str,
    BeforeValidator(plain_environment_name),
    WithJsonSchema({"type": "string", "pattern": rf"^{_IDENTIFIER}$"}),
]
EnvironmentValue = Annotated[str, BeforeValidator(environment_value), WithJsonSchema({"type": "string"})]

_SHELL_ONLY = re.compile(r"[|&;<>`]|\$[({A-Za-z_]")


def command(value: object) -> tuple[str, ...]:
    """A command's words, from a list or from a line split as a shell would. Raises Refused, never showing it."""
    allowed = "a line like flask db upgrade, or a list of words"
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise Refused(f"cannot be split into words ({error})", allowed=allowed) from None
        if any(_SHELL_ONLY.search(word) for word in words):
            raise Refused("needs a shell, and none reads it", allowed=allowed, do='write ["sh", "-c", "…"]')
    elif isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
        words = [str(word) for word in value]
    else:
        raise Refused("is no command", allowed=allowed)
    if not words or not words[0].strip():
        raise Refused("is empty", allowed=allowed, do="remove the line for no command")
    if any("\0" in word or not _encodable(word) for word in words):
        raise Refused("holds a control character", allowed=allowed)
    return tuple(words)


def _encodable(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(command),
    WithJsonSchema(
        {
            "title": "line or list of words",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]


def folder(value: object) -> str:
    """A local folder's path as written. Whether it is there is looked at later. Raises Refused."""
    text = _text(value)
    allowed = "a folder's path, from the project's folder or from /"
    if text.startswith("~"):
        raise Refused(
            f"{shown(value)} starts with ~, which only a shell knows",
            allowed=allowed,
            do="write the path from /",
        )
    if re.match(r"[a-z][a-z0-9+.-]*://|git@", text):
        raise Refused(f"{shown(value)} is not on this machine", allowed=allowed, do="clone it and name the folder")
    return text


Folder = Annotated[str, BeforeValidator(folder), WithJsonSchema({"type": "string", "title": "folder", "minLength": 1})]


_ARCHIVES = (".tar.gz", ".tgz", ".zip")


def source(value: object) -> str:
    """Where the app's code is: a local folder, an https archive, or one commit of a git repository, as written.

    Whether it is there is looked at later. Raises Refused.
    """
    text = _text(value)
    if not re.match(r"[a-z][a-z0-9+.-]*://|git@", text):
        return folder(text)
    allowed = "a folder's path, https://….tar.gz (or .tgz, .zip), or git+https://…@<the commit's 40 digits>"
    checkout = "check it out, in CI for example, and name the folder"
    if text.startswith(("http://", "git+http://")):
        raise Refused(f"{shown(value)} is not encrypted: the code could be changed on its way", allowed=allowed)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise Refused(f"{shown(value)} is not a URL ({error})", allowed=allowed) from None
    if parts.scheme not in ("https", "git+https"):
        raise Refused(f"{shown(value)} is nothing that the host can fetch", allowed=allowed, do=checkout)
    if "@" in parts.netloc:
        raise Refused("has a user or a password in its URL, which would be in plain text", allowed=allowed, do=checkout)
    if parts.query or parts.fragment or not parts.hostname or re.search(r"\s", text):
        raise Refused(f"{shown(value)} has more, or less, than a host and a path", allowed=allowed, do=checkout)
    if parts.scheme == "https" and not parts.path.lower().endswith(_ARCHIVES):
        raise Refused(f"{shown(value)} is not an archive", allowed=allowed, do="write git+https:// for a repository")
    commit = parts.path.rpartition("@")[2] if "@" in parts.path else ""
    if parts.scheme == "git+https" and not re.fullmatch(r"[0-9a-f]{40}", commit):
        found = f"{shown(commit)} is a branch, a tag or short, and may come to mean another commit"
        raise Refused(
            found if commit else f"{shown(value)} names no commit",
            allowed=allowed,
            do="write the 40 digits that `git rev-parse` shows",
        )
    return text


def remote(source: str) -> bool:
    """That the host fetches it."""
    return source.startswith(("https://", "git+https://"))


Source = Annotated[
    str,
    BeforeValidator(source),
    WithJsonSchema({"type": "string", "title": "folder, https:// archive or git+https:// commit", "minLength": 1}),
]


def sha256(value: object) -> str:
    """A SHA-256 in hexadecimal. Raises Refused."""
    text = _text(value).lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise Refused(f"{shown(value)} is not a SHA-256", allowed="64 hexadecimal digits, as sha256sum prints them")
    return text


Sha256 = Annotated[
    str,
    BeforeValidator(sha256),
    WithJsonSchema({"type": "string", "title": "64 hexadecimal digits", "pattern": "^(sha256:)?[0-9A-Fa-f]{64}$"}),
]


def app_file(value: object) -> str:
    """A file's path inside the app's folder. Whether it is there is looked at later. Raises Refused."""
    text = _text(value)
    if text.startswith(("/", "~")) or ".." in text.split("/") or text.endswith("/"):
        raise Refused(
            f"{shown(value)} is not a file inside the app's folder", allowed="a path from there, like pages/back.html"
        )
    return text.removeprefix("./")


AppFile = Annotated[
    str, BeforeValidator(app_file), WithJsonSchema({"type": "string", "title": "file", "pattern": "^[^/~]"})
]


def app_path(value: object) -> str:
    """A file's or folder's path inside the app's folder, but not that folder itself. Raises Refused."""
    text = _text(value)
    parts = text.removesuffix("/").removeprefix("./").split("/")
    if text.startswith("~") or not {"", ".", ".."}.isdisjoint(parts):
        raise Refused(
            f"{shown(value)} is not a folder or file inside the app's folder",
            allowed="a path from there, like static or shop/static; never the whole",
        )
    return "/".join(parts)


AppPath = Annotated[
    str, BeforeValidator(app_path), WithJsonSchema({"type": "string", "title": "folder or file", "pattern": "^[^/~]"})
]


def pattern(value: object) -> str:
    """A glob of paths inside the app's folder. Raises Refused."""
    text = _text(value)
    if text.startswith(("/", "~", "!")) or ".." in text.split("/"):
        raise Refused(
            f"{shown(value)} is not a pattern inside the app's folder",
            allowed="globs like *.sqlite or data/*",
        )
    return text


Pattern = Annotated[str, BeforeValidator(pattern), WithJsonSchema({"type": "string", "title": "glob", "minLength": 1})]


def url_path(value: object) -> str:
    """A path on the site, with its query if any. Raises Refused."""
    text = _text(value)
    if not text.startswith("/") or text.startswith("//") or re.search(r"[\s#\\]", text) or not text.isascii():
        raise Refused(f"{shown(value)} is not a path on the site", allowed="a path like /health")
    return text


UrlPath = Annotated[
    str,
    BeforeValidator(url_path),
    WithJsonSchema({"type": "string", "title": "path", "pattern": r"^/([^/\s#\\][^\s#\\]*)?$"}),
]


def counted_path(value: object) -> str:
    """A path on the site as apps see it: decoded, without a query. Raises Refused."""
    text = url_path(value)
    if re.search("[?%]", text):
        raise Refused(f"{shown(value)} can't be counted", allowed="a path like /login, without ? or %")
    return text


CountedPath = Annotated[
    str,
    BeforeValidator(counted_path),
    WithJsonSchema({"type": "string", "title": "path", "pattern": r"^/([^/\s#\\?%][^\s#\\?%]*)?$"}),
]

_NAME = "[A-Za-z0-9_-][A-Za-z0-9._-]*"


def url_folder(value: object) -> str:
    """A path on the site below which files are served, without a slash at its end. Raises Refused."""
    text = _text(value).rstrip("/")
    if not re.fullmatch(rf"(/{_NAME})+", text):
        raise Refused(
            f"{shown(value)} is not a path that files can be served below",
            allowed="one like /static or /site/media, of letters, digits and . _ -",
            do="" if text else "name the folders and files one by one: the app answers everything else",
        )
    return text


UrlFolder = Annotated[
    str,
    BeforeValidator(url_folder),
    WithJsonSchema({"type": "string", "title": "path", "pattern": rf"^(/{_NAME})+/*$"}),
]

# ---- amounts ----

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def size(value: object) -> int:
    """Bytes, from a text like 10MB or 1GiB, 1 KB to 5 GB. Raises Refused."""
    allowed = "1KB to 5GB, like 10MB or 16MiB"
    match = re.fullmatch(r"([0-9]{1,10}) ?([A-Za-z]+)", value) if isinstance(value, str) else None
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise Refused(f"{shown(value)} is not a size", allowed=allowed)
    total = int(match[1]) * unit
    if not 10**3 <= total <= 5 * 10**9:
        raise Refused(f"{shown(value)} is out of range", allowed=allowed)
    return total


Size = Annotated[
    int,
    BeforeValidator(size),
    WithJsonSchema({"type": "string", "title": "size", "pattern": "^[0-9]+ ?([KMGkmg][Ii]?)?[Bb]$"}),
]

# ---- lists ----

Item = TypeVar("Item")


def _listed(value: object) -> object:
    if not isinstance(value, (list, tuple)):
        raise Refused(f"{shown(value)} is not a list", do="write each item on a line of its own after a dash")
    return tuple(value)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = next((value for value, count in _counted(values) if count > 1), None)
    if twice is not None:
        raise Refused(f"{shown(twice)} is listed twice", do="remove one")
    return values


def _counted(values: Iterable[Any]) -> Iterable[tuple[Any, int]]:
    seen = tuple(values)
    return ((value, seen.count(value)) for value in seen)


Listed = Annotated[tuple[Item, ...], Field(max_length=16), BeforeValidator(_listed), AfterValidator(_distinct)]

# One range or more; the word `current` may stand alone.
OperatorRanges = Annotated[
    Listed[OperatorRange],
    BeforeValidator(_operator_ranges),
    WithJsonSchema(
        {
            "title": "`current`, or a list of ranges",
            "anyOf": [{"const": CURRENT}, {"type": "array", "items": _RANGE_SCHEMA, "minItems": 1, "maxItems": 16}],
        }
    ),
]
