"""The ledger's schema through time. `upgrade` brings a database to the newest version, or refuses."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from closedloop.errors import Refused


def config() -> Config:
    """Alembic's configuration, without a file: the scripts are those of the installed package."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.set_main_option("path_separator", "os")
    return settings


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest version, in one transaction; of several processes one does it.

    Raises Refused when the database was written by a newer or another program.
    """
    settings = config()
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    from closedloop.ledger.engine import serialise

    with engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as conn:
        serialise(conn, "schema")
        version = MigrationContext.configure(conn).get_current_revision()
        if version is not None and version not in known:
            raise Refused(
                f"the ledger has schema version {version}, which this program does not know\n"
                "  what to do: use the newer release of closedloop that wrote it, or restore a backup made before it"
            )
        settings.attributes["connection"] = conn
        command.upgrade(settings, "head")
