"""The app's environment: a file that systemd reads, and secrets that nobody reads in a log."""

from __future__ import annotations

import contextlib
import json
import re
from urllib.parse import quote, unquote, urlsplit

from releasing.host import RELEASES, Refused

# Where systemd refuses a value, or drops it without a word: control characters, surrogates, what is no character.
NO_CHARACTERS = "".join(chr(plane | end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF))
UNFIT = re.compile(rf"[\0-\x08\x0b-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef{NO_CHARACTERS}]")


def environment_file(environment: dict[str, str]) -> str:
    r"""For systemd's EnvironmentFile=, which unescapes \ " $ ` in double quotes, keeps the rest and expands nothing."""
    lines = []
    for name, value in environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Refused(f"environment: {name!r} is not a variable's name (letters, digits and _)")
        if bad := UNFIT.search(value):
            raise Refused(
                f"environment.{name} has {bad[0]!r}; systemd passes on no control characters but tab and newline"
            )
        if len(value.encode()) > 100_000:
            raise Refused(f"environment.{name} has {len(value.encode())} bytes; at most 100000 can be given")
        lines.append(f'{name}="' + re.sub(r'(["$`\\])', r"\\\1", value) + '"\n')
    return "".join(lines)


def read_environment(id: str) -> dict[str, str]:
    pairs = re.findall(r'^(\w+)="((?:[^"\\]|\\.)*)"$', (RELEASES / id / "environment").read_text(), re.M | re.S)
    return {name: re.sub(r"\\(.)", r"\1", value, flags=re.S) for name, value in pairs}


def secrets(environment: dict[str, str]) -> dict[str, str]:
    """Every shape in which a value may turn up in a log -> the variable's name, longest first."""
    shapes: dict[str, str] = {}
    for name, value in environment.items():
        parts = [value, *value.splitlines()]
        with contextlib.suppress(ValueError):
            password = urlsplit(value).password or ""
            parts += [password, unquote(password)]
        for part in parts:
            for shape in (part, repr(part)[1:-1], json.dumps(part)[1:-1], quote(part), quote(part, safe="")):
                if len(shape.strip()) >= 4:
                    shapes.setdefault(shape.strip(), name)
    return dict(sorted(shapes.items(), key=lambda item: -len(item[0])))
