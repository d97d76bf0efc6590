"""Check 1: the site answers visitors through the edge, over TLS that they can trust."""

from __future__ import annotations

import ipaddress

from rehearsal.checks.line import expect, line
from rehearsal.checks.site import Family, Site
from rehearsal.cloud import network

_RANGES = [ipaddress.ip_network(cidr) for cidr in (*network.EDGE_RANGES_V4, *network.EDGE_RANGES_V6)]


@line("DNS names Cloudflare's addresses only, never the origin's")
def dns(site: Site) -> str:
    names = [site.hostname, *site.redirects]
    for name in names:
        done = site.rehearsal.at("visitor", ["getent", "ahosts", name])
        found = {text.split()[0] for text in done.stdout.splitlines()}
        expect(found, f"{name} does not resolve")
        for address in found:
            inside = any(ipaddress.ip_address(address) in cidr for cidr in _RANGES)
            expect(inside, f"{name} resolves to {address}, which is not in Cloudflare's ranges")
        families = {ipaddress.ip_address(address).version for address in found}
        expect(families == {4, 6}, f"{name} resolves over IPv{families.pop()} only")
    return f"{', '.join(names)}: IPv4 and IPv6, all in Cloudflare's ranges"


@line("Visitors over IPv4 get 200 over HTTP/2, with a certificate that they trust")
def ipv4(site: Site) -> str:
    return _visit(site, 4)


@line("Visitors over IPv6 get 200 over HTTP/2, with a certificate that they trust")
def ipv6(site: Site) -> str:
    return _visit(site, 6)


def _visit(site: Site, family: Family) -> str:
    seen = site.fetch(site.health_path, "--http2", family=family)
    expect(seen.status == 200, f"{site.url}{site.health_path}: {seen}")
    expect(seen.http == "2", f"answered over HTTP/{seen.http}")
    # That curl refuses without the CA shows that it did verify with it.
    unverified = site.fetch(site.health_path, "--cacert", "/dev/null", family=family)
    expect(unverified.status == 0, "curl took the certificate without knowing its CA")
    return f"200 from {seen.remote}, chain verified"


@line("The page is the app's own, byte by byte")
def body(site: Site) -> str:
    visitor = network.PLACES["visitor"].ipv4.partition("/")[0]
    for path in dict.fromkeys((site.health_path, "/")):
        first, second = (site.read("python3", "-c", _ASK, site.hostname, path, visitor) for _ in range(2))
        seen = site.fetch(path).body.decode(errors="replace").strip()
        if first == second:
            expect(seen == first, f"{path}: visitors got {len(seen)} characters, other than the app's {len(first)}")
        else:  # a page that is never the same twice: nearly the same must do
            shared = set(seen.split()) & set(first.split())
            expect(len(shared) > len(set(first.split())) / 2, f"{path}: visitors got {seen[:80]!r}, not {first[:80]!r}")
    return f"as on release {site.live()}'s own socket"


_ASK = """
import http.client, socket, sys
host, path, visitor = sys.argv[1:]
connection = http.client.HTTPConnection(host)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("/srv/app/current.sock")
told = {"X-Forwarded-For": visitor, "X-Forwarded-Proto": "https", "X-Forwarded-Host": host, "X-Real-IP": visitor}
connection.request("GET", path, headers=told)
sys.stdout.buffer.write(connection.getresponse().read())
"""
