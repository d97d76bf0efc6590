"""What may be set on a provider itself: by `Provider(...)` in a program, or as `<package>:<key>` in a stack file."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.providers.base import Failure, Props

CONFIGURATION: dict[str, frozenset[str]] = {
    "aws": frozenset(
        {
            "region",  # what its resources and lookups take unless they say otherwise; the rest changes nothing here
            "accessKey",
            "profile",
            "secretKey",
            "token",
            "skipCredentialsValidation",
            "skipMetadataApiCheck",
            "skipRegionValidation",
            "skipRequestingAccountId",
        }
    ),
    "cloudflare": frozenset({"apiToken"}),
    "command": frozenset(),
    "digitalocean": frozenset({"token"}),
    "random": frozenset(),
    "tls": frozenset(),
}
"""The packages that have stand-ins, and each one's settings: credentials, which the stand-in cloud does not look at
(a stack file's are real ones), and what the stand-in acts on."""


def refused(package: str, news: Props) -> Iterator[Failure]:
    """A failure for each setting that the stand-in would have to ignore."""
    known = CONFIGURATION[package]
    for name in sorted(news.keys() - known - {"version"}):
        yield Failure(
            name, f"is not rehearsed as a setting of {package}; known ones: {', '.join(sorted(known)) or 'none'}"
        )
