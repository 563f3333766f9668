"""A catalog that asked Civitai once: answers stored as a sync stores them, without any network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from registry.catalog.lookups import record_outcomes
from registry.catalog.origins import holders_of
from registry.catalog.remote import Sent, store_model, store_versions, versions_are_gone
from registry.civitai.matching import SHA256, believed, outcome
from registry.civitai.run import SOURCE
from registry.formats.civitai import model_of, version_of
from tests.support.civitai_answers import version_shown

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog
    from tests.support.civitai_answers import Json


def learn(catalog: Catalog, *models: Json, source: str = SOURCE) -> None:
    """Store the answers of models and of all their versions, and which files here they have."""
    versions = [version_shown(model, version) for model in models for version in model["modelVersions"]]
    sent = [Sent(orjson.dumps(raw), told) for raw in versions if (told := version_of(raw)) is not None]
    hashes = [file.hashes[SHA256] for one in sent for file in one.told.files if SHA256 in file.hashes]
    with catalog.write() as unit:
        store_versions(unit, sent, source)
        for model in models:
            understood = model_of(model)
            assert understood is not None
            store_model(unit, orjson.dumps(model), understood, source)
        here = {one.sha256 for one in holders_of(unit.conn, hashes)}
        told_versions = [one.told for one in sent]
        found = [outcome(sha, SHA256, believed(told_versions, SHA256, sha)) for sha in sorted(here)]
        record_outcomes(unit, [one for one in found if one is not None])


def lose(catalog: Catalog, *version_ids: int) -> None:
    """Store that versions are no longer at Civitai."""
    with catalog.write() as unit:
        versions_are_gone(unit, version_ids)
