"""The only code that speaks SQL: moves, claims, events, migrations."""
