"""Fixtures that tests of every kind share."""

pytest_plugins = ["support.measured", "support.postgres"]
