"""What Dagster loads as code location `operations` (workspace.yaml)."""

from orchestration.operations.location import definitions

defs = definitions()
