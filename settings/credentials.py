"""The secrets' side of the configuration: the app's secret environment, and the clouds' credentials."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise

from settings.fields import Refused, environment_name, environment_text, plain
from settings.problems import SettingsError

_SET = "pulumi config set --secret --path"
_SHORTEST = 32
# Judged by its letters' frequencies. 32 random hex digits have some 110 bits, a sentence of 32 letters some 120.
_FEWEST_BITS = 90
_FEWEST_LETTERS = 8
_PLACEHOLDERS = re.compile(
    "changeme|replaceme|secret|password|placeholder|example|insecure|default|development|production|yourkey|"
    "flaskorigin|123456|qwerty|abcdefg|xxxxx"
)


def check_secret_key(value: str, key: str = "secrets.SECRET_KEY") -> None:
    """Refuse a SECRET_KEY that can be guessed. Raises SettingsError; the text never shows the value."""
    steps = [ord(after) - ord(before) for before, after in pairwise(value)]
    if len(value) < _SHORTEST:
        problem = f"has {len(value)} characters"
    elif _PLACEHOLDERS.search(re.sub(r"[^a-z0-9]", "", value.lower())):
        problem = "holds a placeholder's words"
    elif len(set(value)) < _FEWEST_LETTERS or _bits(value) < _FEWEST_BITS or value in (value + value)[1:-1]:
        problem = "repeats itself"
    elif sum(abs(step) == 1 for step in steps) > len(steps) / 2:
        problem = "is a row of neighbouring characters"
    else:
        return
    raise SettingsError(
        [
            f"{key}: {problem}; allowed: {_SHORTEST} random characters or more; do: remove it and one is made for you, "
            f'or `{_SET} {key} "$(openssl rand -base64 48)"`'
        ]
    )


def _bits(value: str) -> float:
    counts = Counter(value).values()
    return -sum(count * math.log2(count / len(value)) for count in counts)


def check_secrets(secrets: object, environment: Mapping[str, str]) -> dict[str, str]:
    """The app's secret environment by name, from the decoded `secrets` section and the plain environment beside it.

    Raises SettingsError with one line for each problem; none shows a value.
    """
    if secrets is None:
        return {}
    if not isinstance(secrets, Mapping):
        raise SettingsError([f"secrets: is not a section of names and values; do: use `{_SET} secrets.NAME`"])
    checked: dict[str, str] = {}
    lines: list[str] = []
    for name, value in secrets.items():
        try:
            check_secret_name(name, environment)
            checked[name] = check_secret(name, value)
        except SettingsError as error:
            lines.extend(error.lines)
    if lines:
        raise SettingsError(lines)
    return checked


def check_secret_name(name: object, environment: Mapping[str, str]) -> None:
    """Raises SettingsError for what can't name a variable, or names one of the plain environment too."""
    key = f"secrets.{plain(str(name))}"
    try:
        environment_name(name)
    except Refused as refused:
        raise SettingsError([f"{key}: {refused}"]) from None
    if name in environment:
        raise SettingsError([f"{key}: is in app.environment too; do: remove one of the two"])


def check_secret(name: str, value: object) -> str:
    """The text of a secret. Raises SettingsError, which never shows it."""
    key = f"secrets.{name}"
    try:
        text = environment_text(value)
    except Refused as refused:
        raise SettingsError([f"{key}: {refused}"]) from None
    if not text:
        raise SettingsError([f"{key}: is empty; do: use `{_SET} {key}`, or remove it"])
    if name == "SECRET_KEY":
        check_secret_key(text)
    return text


# Each provider's own names: the environment's, and the configuration's. AWS finds its credentials by a long chain
# (profiles, SSO, instance roles) that only its provider can follow.
_CLOUDFLARE = (("CLOUDFLARE_API_TOKEN",), "cloudflare:apiToken")
_DIGITALOCEAN = (("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"), "digitalocean:token")


def missing_credentials(
    cloud: str,
    environ: Mapping[str, str],
    has_config: Callable[[str], bool],
    *,
    by_itself: Mapping[str, str] | None = None,
) -> list[str]:
    """One plain line for each credential that neither the environment nor the configuration has.

    `has_config("cloudflare:apiToken")` tells whether the stack holds such a key. `by_itself` holds settings for which
    the program speaks to Cloudflare without the provider, where no configuration reaches, and what to write instead.
    """
    needed = [_CLOUDFLARE, _DIGITALOCEAN] if cloud == "digitalocean" else [_CLOUDFLARE]
    given = {name for name, value in environ.items() if value.strip()}
    lines = [
        f"{names[0]}: is missing; do: export {names[0]}, or `pulumi config set --secret {key}`"
        for names, key in needed
        if not given.intersection(names) and not has_config(key)
    ]
    (token,), key = _CLOUDFLARE
    if token not in given and has_config(key):
        lines += [
            f"{setting} reads {token}, which is not exported; do: export it, or write {other}"
            for setting, other in (by_itself or {}).items()
        ]
    return lines
