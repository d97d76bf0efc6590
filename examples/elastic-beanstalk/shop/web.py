"""An app as Elastic Beanstalk runs it: its WSGIPath, in .ebextensions, names this module."""

from flask import Flask

application = Flask(__name__)


@application.get("/")
def index() -> str:
    return "Elastic Beanstalk's WSGIPath started this."


@application.get("/health")
def health() -> str:
    return "ok"
