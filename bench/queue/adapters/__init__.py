"""Each queue as a program with the same three modes: enqueue, produce, work."""
