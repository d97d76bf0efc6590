"""What this host lacks to run a rehearsal, in words for the person at the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rehearsal.cloud import daemon

NEEDS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "nginx": "nginx",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "curl": "curl",
    "openssl": "openssl",
}
"""Programs that the rehearsal calls, and the Debian or Ubuntu package of each."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def problems() -> list[str]:
    """One plain sentence for each thing that is missing, with what to do; an empty list when a rehearsal can run."""
    if sys.platform != "linux":
        return [
            "The rehearsal needs Linux: it boots machines with systemd-nspawn. Run it in a Debian or Ubuntu virtual "
            "machine; tests without machines run here (make unit), and so does `pulumi up` itself."
        ]
    if os.geteuid() != 0:
        return ["The rehearsal makes network namespaces and mounts, which needs root: run it again with sudo."]
    found = [*_missing_programs()]
    if not KEYRING.exists():
        found.append("Debian's archive keys are missing: apt-get install debian-archive-keyring")
    if not found:
        found += [problem for problem in (_no_namespaces(), _no_overlay(), _no_cgroup()) if problem]
    return found


def _missing_programs() -> list[str]:
    packages = sorted({package for program, package in NEEDS.items() if not shutil.which(program)})
    missing = [program for program in NEEDS if not shutil.which(program)]
    if not missing:
        return []
    return [f"Missing: {', '.join(missing)}. Install with: apt-get install {' '.join(packages)}"]


def _no_namespaces() -> str | None:
    tried = _try(
        "ip link add fo0 type veth peer name fo1; nft add table inet t; echo 1 > /proc/sys/net/ipv4/ip_forward", "--net"
    )
    if tried is None:
        return None
    return (
        f"Network namespaces can't be used here ({tried}). In a container, it has to be a privileged one; the kernel "
        "needs veth and nf_tables."
    )


def _no_overlay() -> str | None:
    script = (
        "mount -t tmpfs t /mnt && cd /mnt && mkdir lower upper work root && "
        "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root"
    )
    tried = _try(script, "--mount")
    return f"Overlay file systems can't be mounted here ({tried}): is this a privileged container?" if tried else None


def _no_cgroup() -> str | None:
    try:
        # A name of its own: two rehearsals may begin at once.
        Path(tempfile.mkdtemp(prefix="flask-origin-probe-", dir=daemon.cgroup_root())).rmdir()
    except OSError as error:
        return f"The unified cgroup hierarchy can't be used here ({error}): is this a privileged container?"
    return None


def _try(script: str, namespace: str) -> str | None:
    """The last line of what went wrong, or None."""
    done = subprocess.run(["unshare", namespace, "sh", "-ec", script], capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1] if done.returncode else None
