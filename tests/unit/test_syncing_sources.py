"""Who is asked by a sync, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.config import load_settings
from registry.errors import BadRequest
from registry.syncing import open_sources, purposes
from tests.support.civarchive import archive_server

if TYPE_CHECKING:
    from pathlib import Path

    from registry.config import Settings

IMAGES = {"image.civitai.com", ".civitai.com"}
ONE, BEARER = "a" * 64, "of-nobody"


def settings(tmp_path: Path, **given: object) -> Settings:
    return load_settings(data_dir=tmp_path, **given)


def test_only_civitai_is_asked_unless_somebody_wants_more(tmp_path: Path) -> None:
    plain = settings(tmp_path)

    assert [each.hosts for each in purposes(plain)] == [{"civitai.com"}, IMAGES]
    with open_sources(plain, lambda: False) as sources:
        assert sources.archive is None
        assert sources.requests == 0


def test_an_archive_has_a_purpose_and_a_host_of_its_own(tmp_path: Path) -> None:
    found = purposes(settings(tmp_path, archive_url="https://archive.example:8443/api"))

    assert [each.hosts for each in found if each.hosts != IMAGES] == [{"civitai.com"}, {"archive.example"}]
    assert len({each.name for each in found}) == len(found)


def test_an_archive_may_stand_in_the_own_network(tmp_path: Path) -> None:
    with archive_server() as archive:
        archive.add(ONE, 7, 70)
        given = settings(tmp_path, archive_url=archive.url, civitai_token=BEARER)
        with open_sources(given, lambda: False) as sources:
            assert sources.archive is not None
            assert sources.archive.version_of(ONE) is not None
            assert sources.requests == 1
        assert "authorization" not in archive.server.asked[0].headers


@pytest.mark.parametrize(
    "url", ["civarchive.com", "ftp://x.example", "https://u:p@x.example/", "https://", "x"]
)
def test_an_archive_is_a_plain_web_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadRequest, match="archive_url"):
        settings(tmp_path, archive_url=url)
