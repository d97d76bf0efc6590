"""Check 4: the app sees the visitor as if nothing stood between them, whatever anyone claims in a header."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from rehearsal.checks.knock import Knock, Result, request
from rehearsal.checks.line import expect, line
from rehearsal.checks.site import Family, Site, nonce
from rehearsal.cloud.edge import WORKER_SEEN_AS
from rehearsal.cloud.network import PLACES

_LIE, _LYING_HOST, _LYING_PATH = "6.6.6.6", "evil.example", "/evil"
LIES = {
    **dict.fromkeys(("CF-Connecting-IP", "True-Client-IP", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP"), _LIE),
    **dict.fromkeys(("X-Forwarded-For", "X-Original-Forwarded-For", "Client-IP"), _LIE),
    **dict.fromkeys(("X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host"), _LYING_HOST),
    **dict.fromkeys(("X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL"), _LYING_PATH),
    **dict.fromkeys(("X-Forwarded-By", "X-Forwarded-User"), _LIE),
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Protocol": "http",
    "X-Forwarded-Scheme": "http",
    "X-Forwarded-Ssl": "off",
    "X-Forwarded-Port": "8080",
    "X-Scheme": "http",
    "X-Url-Scheme": "http",
    "Front-End-Https": "off",
    "Forwarded": f"for={_LIE};host={_LYING_HOST};proto=http",
}
"""Headers that a proxy, a server or a framework somewhere believes: none may carry what a visitor wrote."""
# What the proxy itself tells the app, one value each.
_TOLD = {"cf-connecting-ip", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}


def _forgeries() -> dict[str, list[str]]:
    """Header lines that lie, in sets that are sent together."""
    plain = [f"{name}: {value}" for name, value in LIES.items()]
    twins = [f"{name.replace('-', '_')}: {value}" for name, value in LIES.items() if "-" in name]
    return {
        "as they are": plain,
        "with underscores": twins,
        "with one underscore": [f"{name.replace('-', '_', 1)}: {value}" for name, value in LIES.items() if "-" in name],
        "both ways": [*twins, *plain],
        "in other letters": [f"{name.swapcase()}: {value}" for name, value in LIES.items()],
        "twice": [*plain, *plain],
        "as lists": [f"{name}: {value}, {value}" for name, value in LIES.items()],
        "empty": [f"{name};" for name in LIES],
        "malformed": ["X-Forwarded-For: ,,unknown", "X-Forwarded-Proto: https,http", "Forwarded: for=_hidden"],
    }


@line("Over IPv4 the app sees the visitor's address, https and the host, whatever headers he forges", stage="whoami")
def over_ipv4(site: Site) -> str:
    return _lie(site, "visitor", 4, PLACES["visitor"].ipv4.partition("/")[0])


@line("Over IPv6 the app sees the visitor's address, https and the host, whatever headers he forges", stage="whoami")
def over_ipv6(site: Site) -> str:
    return _lie(site, "visitor", 6, str(PLACES["visitor"].ipv6).partition("/")[0])


@line("A Worker's requests carry the one address of all Workers, whatever headers it forges", stage="whoami")
def worker(site: Site) -> str:
    return _lie(site, "worker", 4, WORKER_SEEN_AS)


@line("Even what Cloudflare would pass on of forged headers does not reach the app", stage="whoami")
def behind_the_edge(site: Site) -> str:
    tried = lie_straight(lambda knocks: site.knock("edge", knocks), site.ipv4, site.hostname, site.client_pair)
    return f"{tried} headers straight to the origin, as the edge"


def lie_straight(knock: Callable[[list[Knock]], Sequence[Result]], address: str, hostname: str, client: str) -> int:
    """How many forged headers were tried on an origin that serves examples/hello, by whoever has Cloudflare's `client`.

    Raises Failed when one of them changed what the app sees.
    """
    visitor = PLACES["visitor"].ipv4.partition("/")[0]
    sets = {
        how: [f"CF-Connecting-IP: {visitor}", *(header for header in headers if not _is_cloudflares(header))]
        for how, headers in _forgeries().items()
    }
    knocks = [
        Knock(
            address=address,
            sni=hostname,
            client=client,
            request=request(
                hostname, "/whoami", *(header.replace(";", ":", header.endswith(";")) for header in headers)
            ),
            patience=20,
        )
        for headers in sets.values()
    ]
    for how, result in zip(sets, knock(knocks), strict=True):
        expect(result.status == 200, f"headers forged {how}: answered {result.status or result.how}")
        _truth(json.loads(result.body), visitor, hostname, f"headers forged {how}")
    return sum(map(len, sets.values()))


@line("A neighbour who forges headers straight at the origin gets nothing")
def neighbour(site: Site) -> str:
    word = nonce()
    since = site.journal_cursor()
    visitor = PLACES["visitor"].ipv4.partition("/")[0]
    text = request(site.hostname, f"/{word}", f"CF-Connecting-IP: {visitor}", f"X-Forwarded-For: {visitor}")
    pairs = ("", site.shared_pair)
    knocks = [Knock(address=a, sni=site.hostname, client=p, request=text) for a in site.addresses for p in pairs]
    for result in site.knock("neighbour", knocks):
        expect(not result.answer, f"answered {result.answer[:60]!r}")
    expect(word not in site.journal(since), "the request is in the host's log")
    return "no byte in, no byte out, over IPv4 and IPv6"


def _lie(site: Site, place: str, family: Family, address: str) -> str:
    tried = 0
    for version in ("--http2", "--http1.1"):
        for how, headers in _forgeries().items():
            options = [option for header in headers for option in ("--header", header)]
            answer = site.fetch("/whoami", version, *options, place=place, family=family)
            expect(answer.status == 200, f"headers forged {how}: {answer}")
            _truth(answer.json(), address, site.hostname, f"headers forged {how}")
            tried += len(headers)
    return f"{address} each time, under {tried} forged headers"


def _is_cloudflares(header: str) -> bool:
    """Whether Cloudflare always says it itself, in place of the visitor."""
    return header.lower().startswith(("cf-connecting-ip:", "cf-connecting-ip;"))


def _truth(seen: Any, address: str, hostname: str, how: str) -> None:
    """Raise Failed unless the app saw the visitor, and of the lies not a trace."""
    found = (seen["remote_addr"], seen["scheme"], seen["host"], seen["url"])
    right = (address, "https", hostname, f"https://{hostname}/whoami")
    expect(found == right, f"{how}: the app sees {found}, not {right}")
    names = [name.lower().replace("_", "-") for name, _ in seen["headers"]]
    lied = {name.lower() for name in LIES} - _TOLD
    for (name, value), normal in zip(seen["headers"], names, strict=True):
        expect(normal not in lied, f"{how}: the app sees {name}: {value}")
        if normal in _TOLD:
            expect(names.count(normal) == 1 and "_" not in name, f"{how}: the app sees {normal} more than once")
            expect(value in (address, "https", hostname), f"{how}: the app sees {name}: {value}")
