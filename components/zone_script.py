"""Asks Cloudflare for what its provider can't: remembers a zone's settings and puts them back, and purges its cache.

Run alone: `python3 -I -c <this text> remember|restore|purge`. The environment holds all of it: ZONE (the zone's id),
the provider's own CLOUDFLARE_API_TOKEN and CLOUDFLARE_BASE_URL, and

- of remember and restore: OWNED (JSON, what the stack sets: {setting: value}, in the order of setting them), AT_DESTROY
  (keep or restore), PULUMI_COMMAND_STDOUT (what `remember` printed last, the same shape);
- of purge: HOSTS (JSON, a list of hostnames).

https://developers.cloudflare.com/api/resources/zones/subresources/settings/
https://developers.cloudflare.com/api/resources/origin_tls_client_auth/subresources/settings/
https://developers.cloudflare.com/api/resources/cache/methods/purge/
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

TIMEOUT = 20  # seconds for one request
# Seconds to wait before a purge is tried again. The Free plan refills its five purges a minute one by one:
# https://developers.cloudflare.com/cache/how-to/purge-cache/#availability-and-limits
PAUSES = (2, 5, 15, 30)
LONGEST = 60  # seconds that a longer Retry-After of Cloudflare's is waited for at most
PULLS = "origin_pulls"  # the zone's switch of authenticated origin pulls, which is no zone setting


class Refused(Exception):
    """What Cloudflare said instead of an answer. `passes`: it may answer later, in `wait` seconds."""

    def __init__(self, text: str, *, passes: bool = False, wait: str = "") -> None:
        super().__init__(text)
        self.passes = passes
        self.wait = int(wait) if wait.isdecimal() else 0


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer's result. Raises Refused."""
    token = os.environ.get("CLOUDFLARE_API_TOKEN")
    if not token:
        raise Refused("CLOUDFLARE_API_TOKEN is not in the environment")
    base = os.environ.get("CLOUDFLARE_BASE_URL") or "https://api.cloudflare.com/client/v4"
    request = urllib.request.Request(
        f"{base.rstrip('/')}/zones/{os.environ['ZONE']}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)["result"]
    except urllib.error.HTTPError as error:
        passes = error.code == 429 or error.code >= 500
        wait = error.headers.get("Retry-After", "")
        raise Refused(f"{method} {path}: HTTP {error.code}{said(error.read())}", passes=passes, wait=wait) from None
    except OSError as error:
        raise Refused(f"{method} {path}: {error}", passes=True) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{method} {path}: {error}") from None


def said(body: bytes) -> str:
    """The messages of a refusal, if it holds any."""
    try:
        errors = json.loads(body)["errors"]
        return "".join(f", {error['message']} ({error['code']})" for error in errors)
    except (ValueError, KeyError, TypeError):
        return ""


def read(setting: str) -> Any:
    if setting == PULLS:
        return ask("GET", "origin_tls_client_auth/settings")["enabled"]
    return ask("GET", f"settings/{setting}")["value"]


def write(setting: str, value: Any) -> None:
    if setting == PULLS:
        ask("PUT", "origin_tls_client_auth/settings", {"enabled": value})
    else:
        ask("PATCH", f"settings/{setting}", {"value": value})


def remember(owned: dict[str, Any], before: dict[str, Any], at_destroy: str) -> int:
    """Prints what the owned settings were before the stack set them: as remembered, else as they are now."""
    for setting in owned:
        if setting not in before:
            try:
                before[setting] = read(setting)
            except Refused as refused:
                print(f"{setting} could not be read: {refused}", file=sys.stderr)
                if at_destroy == "restore":
                    print(
                        "edge.at_destroy: restore needs it; do: give CLOUDFLARE_API_TOKEN the rights in the README, "
                        "or write keep",
                        file=sys.stderr,
                    )
                    return 1
    print(json.dumps({setting: before[setting] for setting in owned if setting in before}))
    return 0


def restore(owned: dict[str, Any], before: dict[str, Any], at_destroy: str) -> int:
    """Puts back what is still as the stack set it: what somebody else has changed since is theirs."""
    if at_destroy == "keep":
        return 0
    by_hand = []
    # The mode before the switch that lets Cloudflare choose it.
    for setting in reversed([setting for setting in owned if setting in before]):
        try:
            now = read(setting)
            if now == owned[setting] != before[setting]:
                write(setting, before[setting])
        except Refused as refused:
            by_hand.append(f"{setting} to {json.dumps(before[setting])} ({refused})")
    if by_hand:
        print("edge.at_destroy: these of the zone's settings were not put back:", *by_hand, sep="\n- ", file=sys.stderr)
        print(
            "do: let CLOUDFLARE_API_TOKEN edit the zone's settings, or set them by hand in Cloudflare's dashboard "
            "under SSL/TLS; then run destroy again",
            file=sys.stderr,
        )
    return 1 if by_hand else 0


def purge(hosts: list[str]) -> int:
    """Empties Cloudflare's cache of what it has of these hosts."""
    for pause in (*PAUSES, None):
        try:
            ask("POST", "purge_cache", {"hosts": hosts})
        except Refused as refused:
            if pause is not None and refused.passes:
                time.sleep(max(pause, min(refused.wait, LONGEST)))
                continue
            do = (
                ""
                if refused.passes
                else "let CLOUDFLARE_API_TOKEN purge the zone's cache (Zone, Cache Purge, Purge), then "
            )
            print(
                f"edge.purge_after_release: the release is live, but the cache of {', '.join(hosts)} was not purged: "
                f"{refused}; do: {do}run up again; or write false",
                file=sys.stderr,
            )
            return 1
        break
    print(f"purged: {', '.join(hosts)}")
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "purge":
        sys.exit(purge(json.loads(os.environ["HOSTS"])))
    act = {"remember": remember, "restore": restore}[sys.argv[1]]
    remembered = json.loads(os.environ.get("PULUMI_COMMAND_STDOUT") or "{}")
    sys.exit(act(json.loads(os.environ["OWNED"]), remembered, os.environ["AT_DESTROY"]))
