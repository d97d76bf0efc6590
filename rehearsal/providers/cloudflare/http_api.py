"""The part of Cloudflare's HTTP API that is spoken to without the provider: a zone's settings and its cache.

Sources: https://developers.cloudflare.com/api/resources/zones/subresources/settings/,
https://developers.cloudflare.com/api/resources/origin_tls_client_auth/subresources/settings/ and
https://developers.cloudflare.com/api/resources/cache/methods/purge/
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from rehearsal.cloud.world import World
from rehearsal.providers.account import READ_ONLY, TOKEN
from rehearsal.providers.base import ApiError, Props
from rehearsal.providers.cloudflare import api
from rehearsal.providers.cloudflare.origin_pulls import AuthenticatedOriginPullsSettings
from rehearsal.providers.cloudflare.settings import ZoneSetting

PURGES: Final = "cloudflare/purges"
"""The store's collection of what was purged, one object a purge: {zone_id, hosts}."""
_PATH = re.compile(r"/client/v4/zones/([^/]+)/(?:settings/([a-z0-9_]+)|(origin_tls_client_auth/settings|purge_cache))")


class Refusal(Exception):
    """The API's answer to what it does not do: HTTP status, code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@contextlib.contextmanager
def serving(world: World) -> Iterator[str]:
    """Its base address, as CLOUDFLARE_BASE_URL holds it, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Request", (_Request,), {"world": world}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="cloudflare")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/client/v4"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Request(BaseHTTPRequestHandler):
    world: World

    def do_GET(self) -> None:
        self._answer("GET")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def _answer(self, method: str) -> None:
        body: Props = {"success": True, "errors": [], "messages": []}
        status = 200
        try:
            body["result"] = self._result(method)
        except Refusal as refusal:
            status = refusal.status
            errors = [{"code": refusal.code, "message": str(refusal)}]
            body = {"success": False, "errors": errors, "messages": [], "result": None}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _result(self, method: str) -> Props:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, READ_ONLY):
            raise Refusal(403, 10000, "Authentication error")
        if token == READ_ONLY and method != "GET":
            raise Refusal(403, 9109, "Unauthorized to access requested resource")
        found = _PATH.fullmatch(self.path)
        if found is None:
            raise Refusal(404, 7000, "No route for that URI")
        zone_id, setting, other = found.groups()
        if (zone := self.world.store.get(api.ZONES, zone_id)) is None:
            raise Refusal(403, 9109, "Invalid zone identifier")
        given = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        if other == "purge_cache":
            return self._purge(method, zone_id, zone["name"], given)
        if setting is None:
            return self._pulls(method, zone_id, given)
        return self._setting(method, zone_id, setting, given)

    def _setting(self, method: str, zone_id: str, setting: str, given: dict[str, Any]) -> Props:
        handler = ZoneSetting(self.world)
        if method == "PATCH":
            inputs, failures = handler.check({"zoneId": zone_id, "settingId": setting, **given})
            if failures:
                raise Refusal(400, 1007, failures[0].reason)
            _done(lambda: handler.create("", inputs))
        found = handler.read(f"{zone_id}/{setting}", {})
        if found is None or method not in ("GET", "PATCH"):
            raise Refusal(400, 1006, f"Unrecognized zone setting name: {setting}")
        return {"id": setting, "value": found["value"], "editable": True, "modified_on": found.get("modifiedOn")}

    def _pulls(self, method: str, zone_id: str, given: dict[str, Any]) -> Props:
        handler = AuthenticatedOriginPullsSettings(self.world)
        if method == "PUT":
            inputs, failures = handler.check({"zoneId": zone_id, **given})
            if failures:
                raise Refusal(400, 1405, failures[0].reason)
            _done(lambda: handler.create("", inputs))
        found = handler.read(zone_id, {})
        return {"enabled": bool(found and found["enabled"])}

    def _purge(self, method: str, zone_id: str, zone: str, given: dict[str, Any]) -> Props:
        hosts = given.get("hosts")
        if method != "POST" or set(given) != {"hosts"} or not isinstance(hosts, list) or not hosts:
            raise Refusal(400, 1012, 'Request must contain one of "purge_everything", "files", "tags", "hosts"')
        for host in hosts:
            if host != zone and not str(host).endswith(f".{zone}"):
                raise Refusal(400, 1106, f"Unable to purge {host}, which is not in the zone")
        store = self.world.store
        store.put(PURGES, f"{store.serial(PURGES):06}", {"zone_id": zone_id, "hosts": hosts})
        return {"id": zone_id}


def _done(change: Any) -> None:
    try:
        change()
    except ApiError as refused:
        raise Refusal(400, 1000, str(refused)) from refused
