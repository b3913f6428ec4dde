"""The version of the suite: all its members carry the same."""

VERSION = "0.1.0"
