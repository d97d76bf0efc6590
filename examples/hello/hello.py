"""A small app that shows what reaches it: which release answers, and how the visitor looks from in here."""

from __future__ import annotations

import hashlib
import math
import os
import time

from flask import Flask, Response, jsonify, render_template, request, session

RELEASE = os.environ.get("RELEASE", "none")
SLOWEST = 10.0
_SEEN = ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "SCRIPT_NAME", "PATH_INFO")

app = Flask(__name__)
app.config.update(
    # No default: an app that starts without its key would sign sessions that anyone can forge.
    SECRET_KEY=os.environ["SECRET_KEY"],
    SESSION_COOKIE_SECURE=True,
    SESSION_COOKIE_HTTPONLY=True,
    SESSION_COOKIE_SAMESITE="Lax",
)


@app.get("/")
def index() -> str:
    session["visits"] = visits = session.get("visits", 0) + 1
    return render_template("index.html", release=RELEASE, greeting=os.environ.get("GREETING", "Hello"), visits=visits)


@app.get("/health")
def health() -> Response:
    return jsonify(status="ok", release=RELEASE)


@app.get("/whoami")
def whoami() -> Response:
    """Everything that the request said, but its cookies."""
    return jsonify(
        remote_addr=request.remote_addr,
        scheme=request.scheme,
        host=request.host,
        url=request.url,
        method=request.method,
        headers=[[name, value] for name, value in request.headers if name != "Cookie"],
        environ={name: request.environ.get(name) for name in _SEEN},
        release=RELEASE,
        pid=os.getpid(),
    )


@app.get("/slow")
def slow() -> Response | tuple[Response, int]:
    """Answers after ?seconds=, 10 at most."""
    seconds = request.args.get("seconds", default=1.0, type=float)
    if not math.isfinite(seconds) or seconds < 0:
        return jsonify(error="seconds: 0 to 10"), 400
    seconds = min(seconds, SLOWEST)
    time.sleep(seconds)
    return jsonify(slept=seconds, release=RELEASE, pid=os.getpid())


@app.post("/echo")
def echo() -> Response:
    """The body's length and SHA-256, read as it comes."""
    digest, length = hashlib.sha256(), 0
    while chunk := request.stream.read(65_536):
        digest.update(chunk)
        length += len(chunk)
    return jsonify(length=length, sha256=digest.hexdigest(), release=RELEASE, pid=os.getpid())
