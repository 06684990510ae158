"""The command line: thin over `orchestration.work`. Exit 0 on success, 2 on bad input, 1 on failure."""

from orchestration.cli import (  # noqa: F401  (they add their commands)
    data,
    following,
    keys,
    outreach,
    parts,
    programmes,
    sending,
    webhooks,
)
from orchestration.cli.front import cli, main

__all__ = ["cli", "main"]
