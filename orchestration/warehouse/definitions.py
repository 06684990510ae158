"""What Dagster loads as code location `warehouse` (workspace.yaml)."""

from orchestration.warehouse.location import definitions

defs = definitions()
