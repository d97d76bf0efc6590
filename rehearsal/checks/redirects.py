"""Check 2: every other way to the site leads to it in one step, and none in circles."""

from __future__ import annotations

import subprocess
import sys

from rehearsal.checks.line import Skipped, expect, line
from rehearsal.checks.site import Family, Site
from rehearsal.rehearsal import PROJECT

_PATH = "/a%20page?with=query"
_FAMILIES: tuple[Family, ...] = (4, 6)


@line("http goes to https in exactly one redirect, path and query kept")
def to_https(site: Site) -> str:
    for family in _FAMILIES:
        first = site.fetch(f"http://{site.hostname}{_PATH}", family=family)
        expect(first.status in (301, 308), f"http over IPv{family}: {first}")
        expect(first.location == f"{site.url}{_PATH}", f"http over IPv{family} redirects to {first.location}")
        last = site.fetch(f"http://{site.hostname}{site.health_path}", "--location", "--max-redirs", "9", family=family)
        expect((last.redirects, last.status) == (1, 200), f"followed {last.redirects} redirects to {last.url}: {last}")
    return "one redirect, then 200, over IPv4 and IPv6"


@line("The other hostnames redirect to the site in one step, path and query kept")
def to_hostname(site: Site) -> str:
    if not site.redirects:
        raise Skipped("this stack has no site.redirects")
    for name in site.redirects:
        for family in _FAMILIES:
            first = site.fetch(f"https://{name}{_PATH}", family=family)
            expect(first.status in (301, 308), f"https://{name} over IPv{family}: {first}")
            expect(first.location == f"{site.url}{_PATH}", f"https://{name} redirects to {first.location}")
            url = f"http://{name}{site.health_path}"
            last = site.fetch(url, "--location", "--max-redirs", "9", family=family)
            expect(last.status == 200 and last.url == site.url + site.health_path, f"{url} ends at {last.url}: {last}")
            expect(last.redirects <= 2, f"{url} takes {last.redirects} redirects")
    return ", ".join(site.redirects)


@line(
    "The stand-in edge is honest: what it does in each mode and with each bad certificate is Cloudflare's", depth="full"
)
def honest(site: Site) -> str:
    tests = PROJECT / "tests/rehearsal/edge/test_edge.py"
    if not tests.exists():
        raise Skipped(f"{tests} is not there")
    argv = [sys.executable, "-m", "pytest", "-q", "-m", "machines", "-k", _MODES, "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(argv, cwd=PROJECT, text=True, capture_output=True, timeout=300)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]])[-1]
    expect(done.returncode == 0, f"{tests.relative_to(PROJECT)}: {last}")
    return f"off, flexible (with its loop), full and strict, 521 to 526: {last.strip('= ')}"


_MODES = "off_serves or flexible or full or strict or always_https or answer"
