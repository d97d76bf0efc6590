"""Hypothesis writes configurations: whatever they say, the answer is Settings or plain lines that name the key."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from settings import Settings, SettingsError, load

from .samples import VALID, Config

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
)
# What comes close: right words in wrong places, numbers at the edges, other people's names.
CLOSE = st.sampled_from(
    ["example.com", "www.example.com", "example.org", "current", "0.0.0.0/0", "203.0.113.7/24", "digitalocean", "aws",
     "fra1", "eu-central-1a", "t4g.small", "waitress", "caddy", "hello:app", "10MB", "1.2", "true", "", " ", "\n",
     "\x00", "\ud800", "no", 0, 1, -1, 5475, 10**40, 1.5, float("nan"), [], {}, [[]],
     {"kind": "waitress"}, ["current"] * 2]
)  # fmt: skip
CANARY = "hunter2canary"


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of everything in a configuration."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = sorted(places(VALID), key=str)


@st.composite
def mutated(draw: st.DrawFn) -> Config:
    """VALID with a few things replaced, removed, renamed or added."""
    config = copy.deepcopy(VALID)
    for *sections, last in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4)):
        section: Any = config
        try:
            for key in sections:
                section = section[key]
            match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
                case "replace":
                    section[last] = draw(JSON | CLOSE)
                case "remove":
                    del section[last]
                case "rename":
                    section[f"{last}s"] = section.pop(last)
                case _:
                    section[draw(st.text(max_size=10))] = draw(JSON)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier change took that place away
    return config


def judged(config: object) -> Settings | None:
    """The settings, or None once every line of the refusal has been looked at."""
    try:
        return load(config)  # pyright: ignore[reportArgumentType]
    except SettingsError as error:
        assert error.lines
        assert str(error).splitlines() == list(error.lines)
        for line in error.lines:
            assert line.isprintable()
            told = re.fullmatch(r"(.+?): .{6,}", line)
            assert told, line
            # A key of nonsense may hold a colon itself.
            assert re.split(r"[.\[]", told[1])[0] in Settings.model_fields or ": unknown key; allowed: " in line, line
            assert not re.search(r"pydantic|Traceback|Error|object at 0x|<class", line[len(told[1]) :]), line
        return None


@given(st.dictionaries(st.sampled_from([*Settings.model_fields]) | st.text(max_size=8), JSON))
def test_nonsense(config: Config) -> None:
    judged(config)


@settings(max_examples=300)
@given(mutated())
def test_nearly_right(config: Config) -> None:
    found = judged(config)
    if found is not None:
        # The promises that all of the rest is built on.
        assert found.site.hostname == found.site.zone or found.site.hostname.endswith(f".{found.site.zone}")
        assert found.operator.ranges and not {"0.0.0.0/0", "::/0"} & {*found.operator.ranges}


@given(st.sampled_from([path for path in PLACES if isinstance(path[-1], str)]), st.text(min_size=1, max_size=12))
def test_a_renamed_key_is_named(path: tuple[str | int, ...], suffix: str) -> None:
    config = copy.deepcopy(VALID)
    section: Any = config
    for key in path[:-1]:
        section = section[key]
    name = f"{path[-1]}{suffix}"
    # Any name is good below environment; without its tag nothing tells which keys a host or a server may have.
    if "environment" in path[:-1] or path in (("host", "cloud"), ("app", "server", "kind")):
        return
    section[name] = section.pop(path[-1])
    try:
        load(config)
    except SettingsError as error:
        shown = ".".join((*map(str, path[:-1]), "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name)))
        assert any(line.startswith(f"{shown}: unknown key; allowed: ") for line in error.lines)
    else:
        raise AssertionError(f"{name} was taken")


@given(
    st.sampled_from(["environment", "release_command", "ssh_keys", "unknown"]),
    st.sampled_from(
        [
            CANARY,
            f"\x00{CANARY}",
            f"-----BEGIN PRIVATE KEY----- {CANARY}",
            f"redis://:{CANARY}@db",
            [CANARY],
            {"A": CANARY},
        ]
    ),
)
def test_no_refusal_repeats_what_may_be_a_secret(where: str, value: object) -> None:
    config = copy.deepcopy(VALID)
    match where:
        case "environment":
            config["app"]["environment"] = {"A": value, "DB_PASSWORD": value, "B-": value}
        case "release_command":
            config["app"]["release_command"] = {"x": value}
        case "ssh_keys":
            config["operator"]["ssh_keys"] = [f"{value}"]
        case _:
            config["app"]["secret"] = value
    try:
        load(config)
    except SettingsError as error:
        assert CANARY not in str(error)
    else:
        raise AssertionError("nothing was refused")
