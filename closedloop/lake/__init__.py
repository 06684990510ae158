"""The lake: append-only Iceberg tables, read by cuts (one snapshot id per table). Heavy imports happen on `Lake.open`."""

from closedloop.lake.lake import Cut, Lake

__all__ = ["Cut", "Lake"]
