"""Check 3: nothing but the zone's own traffic reaches the origin, and when its trust is broken nobody does."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic, sleep

from rehearsal.checks.knock import Knock, Result, request
from rehearsal.checks.line import Failed, expect, line
from rehearsal.checks.site import Site, nonce
from rehearsal.cloud import authorities

_CLIENT_CA = "/etc/origin/current/tls/client-ca.pem"
_PACKETS_A_SECOND = 25_000


# Ports


@line("From outside Cloudflare's ranges every TCP port is filtered, over IPv4 and IPv6", stage="scan")
def outside(site: Site) -> str:
    for place in ("visitor", "attacker"):
        for address, found in _scanned(site, place).items():
            expect(not found, f"{address} answers the {place} on {_shown(found)}")
    return f"all 65535 ports of {' and '.join(site.addresses)}, from the visitor and the attacker"


@line("From inside Cloudflare's ranges only 443 answers", stage="scan")
def inside(site: Site) -> str:
    for address, found in _scanned(site, "neighbour").items():
        expect(found == {443: "open"}, f"{address} answers the neighbour on {_shown(found) or 'no port'}")
    return "all 65535 ports, from another Cloudflare account"


def _scanned(site: Site, place: str) -> dict[str, dict[int, str]]:
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(site.addresses, pool.map(lambda address: _ports(site, place, address), site.addresses), strict=True)
        )


def _ports(site: Site, place: str, address: str) -> dict[int, str]:
    """The ports that answer in any way, "open" or "closed"."""
    everything = ["-p-", "-T5", "--max-retries=0", f"--min-rate={_PACKETS_A_SECOND}"]
    everything += ["--initial-rtt-timeout=50ms", "--max-rtt-timeout=100ms"]
    # Of all ports each is asked once, and an answer may get lost in so many; these are asked again, with patience.
    likely = ["-p22,80,443,2019,8080"]
    return _scan(site, place, address, everything) | _scan(site, place, address, likely)


def _scan(site: Site, place: str, address: str, options: Sequence[str]) -> dict[int, str]:
    family = ["-6"] if ipaddress.ip_address(address).version == 6 else []
    done = site.rehearsal.at(place, ["nmap", "-Pn", "-n", "-sS", *options, *family, "-oG", "-", address])
    expect("Nmap done" in done.stdout, f"nmap from the {place} did not finish: {done.stderr.strip()[-200:]}")
    unfiltered = re.findall(r"(\d+)/(open|closed|unfiltered)/tcp", done.stdout)
    if ignored := re.search(r"Ignored State: (closed|open) \((\d+)\)", done.stdout):
        raise Failed(f"{address} answers the {place} on {ignored[2]} ports ({ignored[1]})")
    return {int(port): state for port, state in unfiltered}


def _shown(found: dict[int, str]) -> str:
    return ", ".join(f"{port} ({state})" for port, state in sorted(found.items())[:5])


# The demand for the zone's own client certificate


@dataclass(frozen=True, kw_only=True)
class _Stranger:
    """Somebody inside the ranges who is not the zone's own traffic."""

    who: str
    knock: Knock


def _strangers(site: Site, address: str, path: str) -> list[_Stranger]:
    wrong = authorities.new_authority("Wrong CA").issue([], common_name="Cloudflare")
    wrong_pair = f"{wrong.certificate}\n{wrong.private_key}"
    base = Knock(address=address, sni=site.hostname, request=request(site.hostname, path))
    other = "somebody-elses.example"
    tries = {
        "no client certificate": base,
        "no client certificate, TLS 1.2": replace(base, tls="1.2"),
        "Cloudflare's shared client certificate": replace(base, client=site.shared_pair),
        "Cloudflare's shared client certificate, TLS 1.2": replace(base, client=site.shared_pair, tls="1.2"),
        "a client certificate of another CA": replace(base, client=wrong_pair),
        "another SNI": replace(base, sni=other, client=site.shared_pair),
        "no SNI": replace(base, sni="", client=site.shared_pair),
        "the address as Host": replace(base, request=request(address, path), client=site.shared_pair),
        "a session from another name": replace(base, resume=other, client=site.shared_pair),
        "a session from no name, TLS 1.2": replace(base, resume=address, tls="1.2", client=site.shared_pair),
        "the right client certificate over TLS 1.1": replace(base, tls="1.1", client=site.client_pair),
        "plain http on 443": replace(base, tls=""),
    }
    for name in site.redirects:
        tries[f"{name}'s SNI, {site.hostname}'s Host"] = replace(base, sni=name, client=site.shared_pair)
        tries[f"a session from {name}"] = replace(base, resume=name, client=site.shared_pair)
    return [_Stranger(who=who, knock=knock) for who, knock in tries.items()]


@line("Inside the ranges, whoever lacks the zone's own client certificate reaches nothing: no byte gets to the app")
def strangers(site: Site) -> str:
    word = nonce()
    since = site.journal_cursor()
    tried = 0
    for place in ("neighbour", "edge"):
        tries = [s for address in site.addresses for s in _strangers(site, address, f"/{word}")]
        for stranger, result in zip(tries, site.knock(place, [s.knock for s in tries]), strict=True):
            _turned_away(stranger.knock, result, f"from the {place} with {stranger.who}")
            tried += 1
    reached = [text for text in site.journal(since).splitlines() if word in text]
    expect(not reached, f"the host's journal has a request of a stranger: {reached and reached[0][:200]}")
    return f"{tried} tries from the neighbour's and the edge's address; none in the proxy's or the app's log"


@line("With the zone's own client certificate the same door opens: the tries above could have succeeded")
def control(site: Site) -> str:
    word = nonce()
    since = site.journal_cursor()
    knocks = [
        Knock(
            address=address,
            sni=site.hostname,
            client=site.client_pair,
            request=request(site.hostname, f"/{word}"),
            patience=20,
        )
        for address in site.addresses
    ]
    for result in site.knock("edge", knocks):
        expect(result.status, f"the zone's own client certificate was turned away: {result.how}")
    # nginx and Apache write the line once the answer is out.
    deadline = monotonic() + 10
    while not (logged := word in site.journal(since)) and monotonic() < deadline:
        sleep(0.1)
    expect(logged, "requests are not in the proxy's log, which therefore proves nothing")
    # The same certificate does not help with another Host, nor from outside.
    other = replace(knocks[0], request=request("somebody-elses.example", f"/{word}"))
    (result,) = site.knock("edge", [other])
    expect(result.status in (0, 421), f"with another Host than its SNI it is answered {result.status}")
    (result,) = site.knock("attacker", knocks[:1])
    expect(result.how == "filtered", f"from outside the ranges it is {result.how}")
    return "through with it, in the log; 421 for another Host; filtered from outside"


def _turned_away(knock: Knock, result: Result, how: str) -> None:
    # Some answer plain http on a TLS port by themselves, before any handler: 400.
    polite = result.status == 400 and not knock.tls
    expect(polite or not result.answer, f"{how}: answered {result.answer[:60]!r}")
    expect(result.session == "" or result.how != "connected", f"{how}: a session was {result.session}")


# A broken client CA


@line(
    "With the client CA missing, emptied, cut short or corrupted a reload is refused, the old one serves on",
    stage="alone",
)
def broken_ca_reload(site: Site) -> str:
    with _client_ca(site) as damage:
        for how in _DAMAGES:
            damage(how)
            done = site.inside("systemctl", "reload", site.proxy.unit)
            expect(done.returncode != 0, f"client CA {how}: the reload was not refused")
            seen = site.fetch(site.health_path)
            expect(seen.status == 200, f"client CA {how}, reload refused: visitors get {seen}")
    return f"{', '.join(_DAMAGES)}: visitors still get 200"


@line(
    "With the client CA missing, emptied, cut short or corrupted a start lets nobody in; restored, it serves",
    stage="alone",
)
def broken_ca_start(site: Site) -> str:
    text = request(site.hostname, site.health_path)
    knock = Knock(address=site.ipv4, sni=site.hostname, request=text, patience=1.0)
    tries = [knock, *(replace(knock, client=pair) for pair in (site.shared_pair, site.client_pair))]
    with _client_ca(site) as damage:
        for how in _DAMAGES:
            damage(how)
            # Killed, since it is the start that matters here and a graceful stop may wait for its last connections.
            site.inside("systemctl", "kill", "--signal=KILL", site.proxy.unit)
            site.inside("systemctl", "restart", site.proxy.unit)
            expect(site.main_pid(site.proxy.unit) == 0, f"client CA {how}: the proxy started")
            for result in site.knock("edge", tries):
                expect(not result.answer, f"client CA {how}, restarted: answered {result.answer[:60]!r}")
    site.await_answer(seconds=35)
    return f"{', '.join(_DAMAGES)}: nobody gets in, with the zone's own client certificate neither; then 200 again"


@line("While it lets nobody in visitors get Cloudflare's error", depth="full", stage="alone")
def broken_ca_seen(site: Site) -> str:
    with _client_ca(site) as damage:
        damage("missing")
        site.inside("systemctl", "restart", site.proxy.unit)
        seen = site.fetch(site.health_path)
        expect(520 <= seen.status <= 526, f"visitors get {seen}")
    site.await_answer(seconds=35)
    return str(seen.status)


_DAMAGES = {
    "missing": "rm {}",
    "emptied": "truncate -s 0 {}",
    "cut short": "truncate -s 200 {}",
    "corrupted": "head -c 600 /dev/urandom > {}",
}


@contextmanager
def _client_ca(site: Site) -> Iterator[Callable[[str], None]]:
    """Gives the means to damage the client CA; whole again, and the proxy up, when the block ends."""
    whole = site.read("cat", _CLIENT_CA)

    def write(then: str) -> None:
        site.read("sh", "-c", f"umask 022; cat > {_CLIENT_CA}; {then}", input=f"{whole}\n")

    try:
        yield lambda how: write(_DAMAGES[how].format(_CLIENT_CA))
    finally:
        write("true")
        if site.inside("systemctl", "is-active", "--quiet", site.proxy.unit).returncode:
            site.read("systemctl", "restart", site.proxy.unit)
