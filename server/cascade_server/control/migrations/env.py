"""What Alembic runs to migrate: it is given a connection whose transaction is already open."""

from alembic import context

from cascade_server.control import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    version_table="cascade_schema",  # others may keep their tables, and Alembic's, in the same database
)
context.run_migrations()
