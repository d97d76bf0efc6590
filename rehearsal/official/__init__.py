"""The official Pulumi engine, driven through the user's own `pulumi` command."""

from .engine import OfficialEngine, installed

__all__ = ["OfficialEngine", "installed"]
