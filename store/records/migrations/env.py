"""Runs migrations on the connection that ``store.records.engine`` (or a test) hands over."""

from alembic import context

from store.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter a table otherwise
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
