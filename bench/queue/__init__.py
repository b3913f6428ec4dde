"""How fast jobs are stored, claimed and finished: ours, other Postgres queues and what the machine allows."""
