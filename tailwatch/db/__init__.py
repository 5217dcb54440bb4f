"""PostgreSQL: the model, sessions, migrations."""
