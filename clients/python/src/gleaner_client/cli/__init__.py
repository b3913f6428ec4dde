"""The `gleaner` command."""

from gleaner_client.cli.app import app, main

__all__ = ["app", "main"]
