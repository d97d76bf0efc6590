"""Golden files, plain text: what a diff of them shows is what a change does to the host."""

from __future__ import annotations

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode


class Golden(SingleFileSnapshotExtension):
    """One file for each snapshot, under __snapshots__/<test module>/; rewritten by `pytest --snapshot-update`."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"
