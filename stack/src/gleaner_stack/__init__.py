"""The whole suite on one machine: embedded Postgres and the services as child processes."""
