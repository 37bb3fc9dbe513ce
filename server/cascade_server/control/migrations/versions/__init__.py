"""The steps from one release's tables to the next, as Alembic finds them."""
