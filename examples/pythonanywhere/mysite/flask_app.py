"""The app that PythonAnywhere's wizard makes, and a health page."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "PythonAnywhere's WSGI file started this."


@app.get("/health")
def health() -> str:
    return "ok"
