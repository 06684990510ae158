"""The dbt project as Dagster sees it: its manifest, made when it is missing or older than the files, and names of assets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagster import AssetKey
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from closedloop.settings import REPO, Settings
from orchestration.common.catalogue import ANALYSTS, CONTEXT
from orchestration.dbt import parse, target_dir

_PROJECT_FILES = ("dbt_project.yml", "profiles.yml")
BESIDE_THE_LAKE = ("build_context", "crm_fields", "replay")
_LAYERS = {"staging": "staging", "intermediate": "intermediate", "marts": "marts"}


def load_manifest(settings: Settings) -> dict[str, Any]:
    """The manifest of the project as it now stands in the files. Raises DbtFailed when they cannot be read."""
    path = target_dir(settings) / "manifest.json"
    if not path.exists() or path.stat().st_mtime < newest_change():
        parse(settings, target_dir(settings))
    return with_all_tests_attached(json.loads(path.read_text()))


def with_all_tests_attached(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with a model for each test that reads several: shown as a check of the one furthest downstream."""
    order = {unique_id: len(parents) for unique_id, parents in _ancestors(manifest).items()}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and not node.get("attached_node"):
            models = [name for name in node["depends_on"]["nodes"] if name.startswith("model.")]
            if models:
                node["attached_node"] = max(models, key=lambda name: (order.get(name, 0), name))
    return manifest


def _ancestors(manifest: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    parents: Mapping[str, list[str]] = manifest["parent_map"]
    found: dict[str, frozenset[str]] = {}

    def visit(name: str) -> frozenset[str]:
        if name not in found:
            above = parents.get(name, [])
            found[name] = frozenset(above).union(*(visit(parent) for parent in above))
        return found[name]

    for name in parents:
        visit(name)
    return found


def newest_change(root: Path = REPO) -> float:
    """When a file of the dbt project last changed (seconds since 1970)."""
    files: Iterable[Path] = [root / name for name in _PROJECT_FILES] + [
        path for path in (root / "dbt_project").rglob("*") if path.suffix in {".sql", ".yml", ".yaml", ".csv"}
    ]
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)


class Translator(DagsterDbtTranslator):
    """Keys, groups and owners of the models: the layer is the group, the layer and the name are the key."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_asset_checks=True, enable_source_tests_as_checks=True, enable_duplicate_source_asset_keys=True
            )
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            name = dbt_resource_props["identifier"]
            # What a build itself puts beside the lake's tables comes with its context.
            return CONTEXT if name in BESIDE_THE_LAKE else AssetKey(["lake", name])
        return AssetKey([self.get_group_name(dbt_resource_props), dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        if dbt_resource_props["resource_type"] == "seed":
            return "reference_data"
        folders = dbt_resource_props["fqn"][1:-1]
        return next((_LAYERS[folder] for folder in folders if folder in _LAYERS), "models")

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return list(super().get_owners(dbt_resource_props) or [ANALYSTS])

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        return {}
