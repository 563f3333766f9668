"""What the pages are made from, and who looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from registry.catalog.engine import Catalog
    from registry.config import Settings
    from registry.drawings import Asking, Plan
    from registry.measured import Relatives
    from registry.search.service import Searching

LEVEL_COOKIE: Final = "nsfw"
"""The cookie that keeps up to which level somebody wants to be shown pictures."""


class Limits(Protocol):
    """The highest levels that are sent: of pictures and prompts, and of entries (`None` = all)."""

    @property
    def pictures(self) -> int:
        """The level of pictures."""

    @property
    def entries(self) -> int | None:
        """The level of entries."""

    def shows(self, level: int | None) -> bool:
        """Tell whether a picture of a level is sent."""

    def lists(self, level: int | None) -> bool:
        """Tell whether a lora of a level is listed."""


class Viewer(Protocol):
    """Who looks at a page: its name, what it may do, and up to which level it may ask for pictures."""

    @property
    def name(self) -> str | None:
        """The name that its changes are logged under."""

    @property
    def may_write(self) -> bool:
        """Whether it may note something."""

    @property
    def limits(self) -> Limits:
        """What is sent to it."""

    @property
    def most(self) -> int:
        """The highest limit of pictures that it may choose."""

    @property
    def capped(self) -> bool:
        """Whether its token or tool limits levels: then it may not say what level things are."""

    @property
    def by_address(self) -> bool:
        """Whether its token stands in the address, which no link keeps."""


class Program(Protocol):
    """What the program around the pages does for them."""

    @property
    def settings(self) -> Settings:
        """The settings that it runs with."""

    @property
    def render(self) -> Callable[[Asking, str | None], tuple[int, Plan]]:
        """What starts to draw, for somebody, and returns the id of the job and what it is."""

    @property
    def find(self) -> Callable[[str], Sequence[int]]:
        """What gives the loras that a query finds; BadRequest for one that is not clear."""

    @property
    def plan_render(self) -> Callable[[Asking], Plan]:
        """What tells what drawing would be, and draws nothing."""

    @property
    def relatives(self) -> Callable[[int, int, float, bool], Relatives]:
        """What gives the loras like one: how many at most, the least cosine, whether by the files."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the pages are made from.

    `progress` tells how far scanning, hashing and indexing are, `viewer` who sent a request; it may raise
    what says that nothing is shown to it.
    """

    catalog: Catalog
    machine_id: str
    searching: Searching
    progress: Callable[[], dict[str, Any]]
    viewer: Callable[[Request], Viewer]
    program: Callable[[Request], Program]
