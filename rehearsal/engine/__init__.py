"""A small engine for Pulumi programs, embedded in the rehearsal."""

from .engine import Engine
from .steps import Change, Event, Problem, Result, Step

__all__ = ["Change", "Engine", "Event", "Problem", "Result", "Step"]
