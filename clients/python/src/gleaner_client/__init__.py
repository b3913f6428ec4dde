"""The Python client, and the `gleaner` command."""
