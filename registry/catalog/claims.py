"""The hashes that headers claim, judged by the digests there are: when a header is read, no file is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from registry.catalog.digests import stored_digests
from registry.formats.packing import pack_json, unpack_json
from registry.hashing.claims import claim_problems, judge_claims
from registry.views import Claim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from registry.views import FileFacts, HeaderClaim, Note


def unchecked_claims(facts: FileFacts) -> bytes:
    """Return the claims of a file that is not hashed yet, as its row keeps them."""
    return pack_json(judge_claims(_claimed(facts), None))


def judge_again(
    conn: Connection, rows: Sequence[tuple[dict[str, Any], FileFacts]]
) -> list[tuple[int, str, list[Note]]]:
    """Set `claims` in the values of file rows whose headers were read, by the digests that are stored.

    Returns what a person should know of them: (file id, path, notes).
    """
    digests = stored_digests(conn, [values["row_id"] for values, _ in rows])
    return [_judge(values, facts, digests.get(values["row_id"])) for values, facts in rows]


def _judge(
    values: dict[str, Any], facts: FileFacts, digests: Mapping[str, str] | None
) -> tuple[int, str, list[Note]]:
    claims = judge_claims(_claimed(facts), digests, _unpack(values["claims"]))
    values["claims"] = pack_json(claims)
    return values["row_id"], values["path"], claim_problems(claims)


def _claimed(facts: FileFacts) -> tuple[HeaderClaim, ...]:
    return facts.header.claims if facts.header is not None else ()


def _unpack(packed: bytes | None) -> list[Claim]:
    found = cast("list[dict[str, Any]]", unpack_json(packed)) if packed else []
    return [Claim(one["name"], one["claimed"], one["computed"], one["verdict"]) for one in found]
