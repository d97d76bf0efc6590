"""WSGI servers: what each is told, and the pinned package that the host installs where the app does not bring it.

A server listens on the release's own unix socket, which only the proxy may open, and trusts exactly that one hop.
A further server is one dataclass and one row of KINDS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Protocol


class Server(Protocol):
    package: ClassVar[str]
    requirement: ClassVar[str]
    """One line of a requirements file: exact version and hashes."""
    oldest_safe: ClassVar[str]
    """The first version without a known hole that a request can reach."""

    def run(self, entrypoint: str) -> list[str]:
        """The server's argv, with the release tool's placeholders {venv}, {src}, {socket} and {release}."""
        ...


@dataclass(frozen=True, kw_only=True)
class Waitress:
    """One process, `threads` requests at once. Sizes in bytes, times in seconds; the names are Waitress's own.

    https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
    """

    package: ClassVar[str] = "waitress"
    requirement: ClassVar[str] = (
        "waitress==3.0.2"
        " --hash=sha256:c56d67fd6e87c2ee598b76abdd4e96cfad1f24cacdea5078d382b1f9d7b5ed2e"
        " --hash=sha256:682aaaf2af0c44ada4abfb70ded36393f0e307f4ab9456a215ce0020baefc31f"
    )
    # CVE-2024-49768 (request smuggling) and CVE-2024-49769 (busy loop).
    oldest_safe: ClassVar[str] = "3.0.1"

    threads: int = 8
    connection_limit: int = 1000
    channel_timeout: int = 120
    max_request_header_size: int = 131_072
    # The proxy has the real limit; Waitress's own default of 1 GiB would be a second, silent one.
    max_request_body_size: int = 1 << 40

    def run(self, entrypoint: str) -> list[str]:
        options = {field.name: getattr(self, field.name) for field in fields(self)} | {
            "unix_socket": "{socket}",
            "unix_socket_perms": "660",  # 0600 by default: the proxy is another user
            # On a unix socket REMOTE_ADDR is no address, so only "*" can name the peer. Whoever opens the socket is
            # the proxy; it sends one value of each of these, from which REMOTE_ADDR, the scheme and Host are set.
            "trusted_proxy": "*",
            "trusted_proxy_count": 1,
            "trusted_proxy_headers": "x-forwarded-for x-forwarded-proto x-forwarded-host",
            "clear_untrusted_proxy_headers": True,
            "asyncore_use_poll": True,  # select() ends at file descriptor 1023
        }
        arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
        module, _, callable_ = entrypoint.partition(":")
        # Not waitress-serve: of an app that does not import that tells the error's text only, this its traceback.
        code = f"import waitress\nimport {module}\nwaitress.serve({module}.{callable_}, {arguments})"
        return ["{venv}/bin/python", "-c", code]


KINDS: Mapping[str, type[Server]] = MappingProxyType({"waitress": Waitress})


class ServerSettings(Protocol):
    @property
    def kind(self) -> str: ...


def server(settings: ServerSettings) -> Server:
    """The server that `settings.kind` names, with those of its options that `settings` has.

    Raises KeyError for a kind that is not in KINDS.
    """
    kind: Any = KINDS[settings.kind]
    names = [field.name for field in fields(kind)]
    return kind(**{name: getattr(settings, name) for name in names if hasattr(settings, name)})
