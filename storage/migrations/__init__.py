"""The schema, step by step (Alembic). `runner` takes a database from one to the next; a step is never changed once published."""
