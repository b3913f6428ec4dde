"""How our servers and channels are built: interceptors, error table, health, drain."""
