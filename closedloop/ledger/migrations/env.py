"""Alembic's entry: runs the scripts on the connection (and in the transaction) that `upgrade` gives it."""

from alembic import context

from closedloop.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
