"""Which files a snapshot is made of, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from closedloop.errors import ClosedLoopError

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestEntry
    from pyiceberg.table import Table


def live_entries(table: Table, snapshot_id: int) -> Iterator[ManifestEntry]:
    """The data files of a snapshot. Raises ClosedLoopError on row-level deletes, which we never write."""
    from pyiceberg.manifest import ManifestContent

    snapshot = table.snapshot_by_id(snapshot_id)
    for manifest in snapshot.manifests(table.io) if snapshot else []:
        if manifest.content == ManifestContent.DELETES:
            raise ClosedLoopError(f"{'.'.join(table.name())} has row-level deletes of another writer; rewrite it first")
        yield from manifest.fetch_manifest_entry(table.io, discard_deleted=True)


def local_path(location: str) -> str:
    """The path of a `file://` location."""
    return unquote(urlsplit(location).path) if location.startswith("file:") else location
