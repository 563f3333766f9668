"""The search of an open registry put together; apart from `registry.app`, because most commands need none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.app import catalog_name
from registry.errors import IndexTaken
from registry.levels import load_words
from registry.search.alike import Alike
from registry.search.catchup import Follower, Progress
from registry.search.index import Place
from registry.search.likeness import Likeness
from registry.search.service import Searching
from registry.search.translations import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.app import Registry

MOST_LORAS: Final = 10_000_000


def place_of(registry: Registry) -> Place:
    """Return where the search index lies; each catalog has one on each machine."""
    settings = registry.settings
    words = load_words(settings.nsfw_words)
    return Place(settings.data_dir / f"search-{catalog_name(settings)}", words)


def open_searching(registry: Registry) -> Searching:
    """Return what answers queries, from the index as it is."""
    alike = Alike(registry.catalog, likeness_of(registry), registry.machine_id)
    tables = load(registry.settings.tag_tables)
    return Searching(registry.catalog, place_of(registry), tables, alike=alike)


def likeness_of(registry: Registry) -> Likeness:
    """Return the sketches of the weights; each catalog has them once on each machine."""
    settings = registry.settings
    return Likeness(registry.catalog, settings.data_dir / f"likeness-{catalog_name(settings)}")


def finding(registry: Registry) -> Callable[[str], list[int]]:
    """Return what gives the ids of all loras that a query finds, from an index brought up to date."""

    def find(query: str) -> list[int]:
        catch_up(registry)
        searching = open_searching(registry)
        try:
            return searching.all_ids(query, MOST_LORAS)
        finally:
            searching.close()

    return find


def catch_up(registry: Registry, report: Callable[[Progress], None] = lambda _progress: None) -> bool:
    """Bring the search index up to date in this thread; return False if another process does that."""
    follower = Follower(registry.catalog, place_of(registry), report=report)
    try:
        follower.catch_up()
    except IndexTaken:
        return False
    finally:
        follower.close()
    return True
