"""What the servers and proxies are measured with: a page of nothing, a page of about 1 ms of work, and a file."""

from __future__ import annotations

import time

from flask import Flask, Response, render_template, request, send_from_directory

ROWS = [{"name": f"Item {number}", "price": number * 1.19, "stock": number % 7} for number in range(36)]

app = Flask(__name__)


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/empty")
def empty() -> str:
    return ""


@app.get("/page")
def page() -> str:
    """A template of 36 rows: about 1 ms of a processor that is a few years old."""
    return render_template("page.html", rows=ROWS, query=request.args.get("q", ""))


@app.get("/waiting-page")
def waiting_page() -> str:
    """The same after an answer from elsewhere, such as a database's, was waited for."""
    time.sleep(0.01)
    return page()


@app.get("/by-app/<path:name>")
def by_app(name: str) -> Response:
    """A static file, as the app itself would serve it."""
    return send_from_directory("static", name)
