"""The machines' image: Debian 13 with the packages and settings of Debian's own cloud images, as a folder.

Lists and settings follow salsa.debian.org/cloud-team/debian-cloud-images, config_space/13. Left out is what a container
has no use for (kernel, boot loader, growing the disk, configuring the network card). What the images lack is lacking
here as well, so that a bootstrap that forgets to install something fails in the rehearsal and not in the cloud.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rehearsal.cloud.world import locked

Progress = Callable[[str], None]

SUITE = "trixie"
FILES = Path(__file__).parent / "image_files"
HOST_CAS = Path("/usr/local/share/ca-certificates")
MAX_AGE = 30 * 86400
"""Seconds after which an image is built anew, for the security updates that cloud images would have by then."""

PACKAGES = (
    # package_config/GENERIC, CLOUD
    "cloud-init",
    "cloud-guest-utils",
    "openssh-server",
    "ssh-import-id",
    # package_config/SYSTEM_BOOT
    "sudo",
    "e2fsprogs",
    "libpam-systemd",
    "systemd-resolved",
    "libnss-resolve",
    "libnss-myhostname",
    "netplan.io",
    "polkitd",
    "unattended-upgrades",
    "zstd",
    "apt-utils",
    "init",
    "iptables",
    "iputils-ping",
    "linux-sysctl-defaults",
    "less",
    "nano",
    "netbase",
    "vim-tiny",
    "whiptail",
    "systemd-timesyncd",
    # What the kernel and other omitted packages would have brought.
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "procps",
)


@dataclass(frozen=True, kw_only=True)
class Image:
    """A built image. upstreams: the Debian archives that it was made from, {"debian": url, "debian-security": url}."""

    folder: Path
    upstreams: dict[str, str]

    @property
    def root(self) -> Path:
        """The root file system: read only, the lower layer of every machine's disk."""
        return self.folder / "root"

    @property
    def lock(self) -> Path:
        """Held (shared) by whoever runs a machine on this image, so that it is not removed under it."""
        return self.folder / "lock"


class ImageFailed(Exception):
    """The image could not be built; the message has the end of the builder's output."""


def ensure(cache: Path, progress: Progress = lambda _: None) -> Image:
    """The image of the current recipe, built if it is missing or too old (one to two minutes).

    Killed at any moment, the next call starts anew. Raises ImageFailed; a merely old image serves if there is one.
    """
    images = cache / "images"
    images.mkdir(parents=True, exist_ok=True)
    with locked(images / ".lock"):  # one builds, others wait for it
        for leftover in images.glob(".*-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        recipe = _recipe()
        built = sorted(images.glob(f"debian-13-{recipe}-*"))
        if built and _age(built[-1]) < MAX_AGE:
            return load(built[-1])
        try:
            image = _build(images, recipe, progress)
        except ImageFailed as failure:
            if not built:
                raise
            progress(f"{failure}\nThe machine image of {_age(built[-1]) // 86400:.0f} days ago is used instead.")
            return load(built[-1])
        _remove_old(images, keep=image.folder)
        return image


def load(folder: Path) -> Image:
    """The image in that folder. Raises FileNotFoundError when it is gone."""
    return Image(folder=folder, upstreams=json.loads((folder / "upstreams.json").read_text()))


def _build(images: Path, recipe: str, progress: Progress) -> Image:
    progress("Machine image: building Debian 13 (once; a minute or two)")
    building = images / f".building-{recipe}"
    root = building / "root"
    root.mkdir(parents=True)
    _mmdebstrap(root, progress)
    progress("Machine image: settings")
    upstreams = _upstreams((root / "etc/apt/sources.list").read_text())
    _customize(root)
    (building / "upstreams.json").write_text(json.dumps(upstreams))
    (building / "lock").touch()
    folder = images / f"debian-13-{recipe}-{int(time.time())}"
    building.rename(folder)
    return load(folder)


def _mmdebstrap(root: Path, progress: Progress) -> None:
    command = [
        # Its own process namespace: when this process is killed, nothing of the builder lives on.
        *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        '--aptopt=Apt::Install-Recommends "false"',
        *(SUITE, str(root)),
    ]
    output: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as builder:
        for line in builder.stdout or ():
            output.append(line)
            if match := re.match(r"I: (downloading|extracting|installing) (.*)\.\.\.$", line):
                progress(f"Machine image: {match[1]} {match[2]}")
    if builder.returncode:
        tail = "".join(output[-15:]).strip()
        raise ImageFailed(f"The machine image could not be built (mmdebstrap exit {builder.returncode}):\n{tail}")


def _upstreams(sources: str) -> dict[str, str]:
    """The archives' addresses that mmdebstrap chose, from the sources.list that it wrote."""
    by_suite = {}
    for line in sources.splitlines():
        if match := re.match(r"deb (?:\[.*?\] )?(\S+?)/? (\S+) ", line):
            by_suite[match[2]] = match[1]
    return {"debian": by_suite[SUITE], "debian-security": by_suite[f"{SUITE}-security"]}


def _customize(root: Path) -> None:
    for path in ("etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap", "etc/hostname", "var/lib/dbus/machine-id"):
        (root / path).unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    shutil.copytree(FILES, root, dirs_exist_ok=True)
    # scripts/DEBIAN/11-misc
    sshd = root / "etc/ssh/sshd_config"
    text = re.sub(r"^#PasswordAuthentication yes", "PasswordAuthentication no", sshd.read_text(), flags=re.M)
    text = re.sub(r"^#?PermitRootLogin .*", "PermitRootLogin without-password", text, flags=re.M)
    sshd.write_text(f"{text.rstrip()}\nClientAliveInterval 120\n")
    # What the operator's machine trusts, as behind a company's TLS proxy.
    for certificate in HOST_CAS.glob("**/*.crt"):
        shutil.copy(certificate, root / "usr/local/share/ca-certificates")
    for command in (["update-ca-certificates"], ["systemctl", "enable", "systemd-resolved.service"]):
        subprocess.run(["chroot", str(root), *command], check=True, capture_output=True)
    resolv_conf = root / "etc/resolv.conf"
    resolv_conf.unlink(missing_ok=True)
    resolv_conf.symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _recipe() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for folder in (FILES, HOST_CAS):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _age(folder: Path) -> float:
    return time.time() - int(folder.name.rpartition("-")[2])


def _remove_old(images: Path, *, keep: Path) -> None:
    for folder in images.glob("debian-13-*"):
        if folder == keep or _age(folder) < MAX_AGE:
            continue
        with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(folder / "lock", wait=False):
            # Renamed first: a removal that is interrupted must not leave half an image under a good name.
            shutil.rmtree(folder.rename(images / f".removing-{folder.name}"))
