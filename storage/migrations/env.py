"""Alembic runs this for each command. It is given an open connection: who opens databases is `storage.engine` alone."""

from __future__ import annotations

from alembic import context

from storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a column by building the table anew
    transactional_ddl=True,  # all steps or none; SQLite can, Alembic does not assume it
)
with context.begin_transaction():
    context.run_migrations()
