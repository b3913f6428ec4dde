"""CPU work in child processes: limits of memory and time, and an end when the parent ends."""

from gleaner_children.pool import ChildLimits, ChildPool
from gleaner_children.serving import Note, arguments, serve
from gleaner_children.wire import Header

__all__ = ["ChildLimits", "ChildPool", "Header", "Note", "arguments", "serve"]
