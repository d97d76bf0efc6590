"""examples/hello, with a witness: of every request for another page the answer says in X-Seen what reached the app."""

from __future__ import annotations

import hashlib
import json

from flask import Response, request
from hello import app  # pyright: ignore[reportMissingImports]  # it is released beside this file


@app.before_request
def witness() -> Response | None:
    if request.path in ("/health", "/whoami"):
        return None
    body = request.get_data()
    seen = {
        "method": request.environ["REQUEST_METHOD"],
        "path": request.environ["PATH_INFO"],
        "query": hashlib.sha256(request.environ.get("QUERY_STRING", "").encode("latin-1")).hexdigest(),  # may be long
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "told": [request.remote_addr, request.scheme, request.host],
    }
    return Response("seen\n", headers={"X-Seen": json.dumps(seen)})
