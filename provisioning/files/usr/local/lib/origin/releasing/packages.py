"""Debian packages that a server needs, brought when a release asks for them: another server never replaces a host."""

from __future__ import annotations

import re

from releasing.host import Refused, run, say, step
from releasing.journal import tail

TIMEOUT = 600  # seconds
_INSTALL = """
export DEBIAN_FRONTEND=noninteractive
dpkg --force-confold --configure -a
apt() {
    apt-get -qy -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::Languages=none \
        -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"
}
apt update
apt --no-install-recommends install "$@"
"""


def bring(id: str, wanted: list[str]) -> None:
    """Those that are installed cost one look."""
    if odd := [name for name in wanted if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name)]:
        raise Refused(f"manifest: packages {odd} are no names of Debian packages")
    if not wanted:
        return
    found = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted, check=False).stdout.splitlines()
    if not (missing := sorted({*wanted} - {line.split()[0] for line in found if line.endswith(" installed")})):
        return
    say(f"installing {', '.join(missing)}")
    unit = f"release-build-{id}-packages"
    if reason := step(unit, [], TIMEOUT, "sh", "-euc", _INSTALL, "sh", *missing):
        raise Refused(f"installing {', '.join(missing)}: {reason}" + tail(unit, 30, {}))
