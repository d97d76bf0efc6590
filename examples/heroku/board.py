"""An app as Heroku runs it: Procfile, runtime.txt, requirements.txt, and a factory."""

from flask import Flask


def create_app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def index() -> str:
        return "Heroku's Procfile started this."

    @app.get("/health")
    def health() -> str:
        return "ok"

    return app
