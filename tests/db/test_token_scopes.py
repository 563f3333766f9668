"""What a token chooses and how far it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.tokens import TokenScope, create_token, find_token, list_tokens, revoke_token
from registry.errors import BadRequest

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog


def test_a_token_keeps_what_it_was_made_with(catalog: Catalog) -> None:
    scope = TokenScope("comfy", nsfw_pictures=2, nsfw_entries=4)
    with catalog.write() as unit:
        secret = create_token(unit, "phone", "read", scope)
        create_token(unit, "laptop", "read")
    with catalog.read() as conn:
        found = find_token(conn, secret)
        listed = list_tokens(conn)
    assert found is not None
    assert found == listed[0]
    assert [token.scope for token in listed] == [scope, TokenScope(None, None, None)]


def test_a_new_token_has_nothing_of_a_revoked_one_of_its_name(catalog: Catalog) -> None:
    with catalog.write() as unit:
        create_token(unit, "phone", "read", TokenScope("comfy", 1, 1))
        revoke_token(unit, "phone")
        create_token(unit, "phone", "read")
    with catalog.read() as conn:
        assert [token.scope.tool for token in list_tokens(conn)] == ["comfy", None]


@pytest.mark.parametrize("caps", [{"nsfw_pictures": 3}, {"nsfw_entries": 0}, {"nsfw_entries": 64}])
def test_caps_are_single_levels(catalog: Catalog, caps: dict[str, Any]) -> None:
    with catalog.write() as unit, pytest.raises(BadRequest, match="level"):
        create_token(unit, "phone", "read", TokenScope(**caps))
