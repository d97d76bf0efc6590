"""What the servers and proxies are measured with: a page of nothing, a page of 1 ms of work, and a file."""

from __future__ import annotations

import time

from flask import Flask, Response, render_template, request, send_from_directory

app = Flask(__name__)


def rows(count: int) -> list[dict[str, object]]:
    return [{"name": f"Item {number}", "price": number * 1.19, "stock": number % 7} for number in range(count)]


def rows_of_a_millisecond(trial: int = 36) -> int:
    """So many of the template's rows take this processor 1 ms, by the fastest of some tries."""
    took = []
    with app.test_request_context():
        for _ in range(40):
            began = time.thread_time()
            render_template("page.html", rows=rows(trial), query="")
            took.append(time.thread_time() - began)
    return round(trial * 0.001 / min(took))


ROWS = rows(rows_of_a_millisecond())


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/empty")
def empty() -> str:
    return ""


@app.get("/page")
def page() -> str:
    """1 ms of work, whatever the processor."""
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
