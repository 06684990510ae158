"""A catalog that points only at files which are on disk: after a power failure the lake is as it was at some commit."""

from __future__ import annotations

import os
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io import FileIO
from pyiceberg.table.metadata import TableMetadata

from closedloop.lake.files import local_path


class DurableSqlCatalog(SqlCatalog):
    """PyIceberg's SQL catalog; a commit's files are synced before the database names them."""

    @staticmethod
    def _write_metadata(metadata: TableMetadata, io: FileIO, metadata_path: str) -> None:
        SqlCatalog._write_metadata(metadata, io, metadata_path)
        files = {metadata_path}
        snapshot = metadata.current_snapshot()
        if snapshot is not None:
            files.add(snapshot.manifest_list)
            for manifest in snapshot.manifests(io):
                if manifest.added_snapshot_id == snapshot.snapshot_id:
                    files.add(manifest.manifest_path)
                    files.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(io))
        paths = [Path(local_path(file)) for file in files]
        for path in [*paths, *{path.parent for path in paths}]:
            _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
