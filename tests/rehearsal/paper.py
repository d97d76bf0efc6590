"""A stand-in cloud that only keeps books: commands on its machines succeed and print nothing of interest."""

from __future__ import annotations

import pytest

from rehearsal.cloud import edge, firewall, ground, image, machine, mirror, preflight
from rehearsal.providers import ssh


def lay(patch: pytest.MonkeyPatch) -> None:
    """Everything but machines, networks and proxies."""

    def nothing(*_: object, **__: object) -> None:
        return None

    patch.setattr(preflight, "problems", list)
    for module, names in (
        (ground, ("ensure", "remove")),
        (image, ("ensure",)),
        (mirror, ("require_packages",)),
        (edge, ("apply", "stop")),
        (firewall, ("apply",)),
        (machine, ("create", "destroy", "power_on", "power_off", "move")),
    ):
        for name in names:
            patch.setattr(module, name, nothing)
    patch.setattr(machine, "running", lambda *_: True)
    printed = ssh.Session(0, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHostKeyOnPaper\n", "")
    patch.setattr(ssh, "run", lambda *_: printed)
    patch.setattr(ssh, "sftp", lambda *_: printed)
