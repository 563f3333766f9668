"""One file's header phase, as worker processes run it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from registry.formats.packing import unpack_json
from registry.hashing.reader import read_quick
from registry.ingest.derive import Task, derive, derive_chunk, fold_inode, is_opened
from tests.support.files import frame, header_bytes, kohya_lora
from tests.support.shelf import lora

if TYPE_CHECKING:
    from pathlib import Path

    from registry.hashing.reader import QuickHead


def test_the_facts_of_a_lora_are_those_of_its_header(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "style.safetensors", modules=3, tags=5, seed=7)

    key, facts, problem = derive(Task(4, str(path)))

    assert (key, problem) == (4, None)
    assert facts is not None
    assert facts.header is not None
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    assert facts.header.digest == blake3(raw[:start]).digest()
    assert facts.data_size == len(raw) - start
    assert facts.stat.size == len(raw)
    assert (facts.cause, facts.problems) == (None, ())
    columns = facts.header.columns
    assert (columns["architecture"], columns["adapter"], columns["rank"]) == ("sd15", "lora", 8)
    assert (columns["output_name"], columns["network_module"]) == ("style", "networks.lora")
    assert len(facts.header.tags) == 5
    assert isinstance(unpack_json(bytes(columns["triggers"])), dict)  # type: ignore[call-overload]


def test_the_end_of_a_short_data_section_holds_nothing_of_the_header(tmp_path: Path) -> None:
    first = lora(tmp_path / "a.safetensors", 1, note="one")
    second = lora(tmp_path / "b.safetensors", 1, note="another, longer one")

    facts = [derive(Task(0, str(path))).facts for path in (first, second)]

    assert facts[0] is not None
    assert facts[1] is not None
    assert (facts[0].tail, facts[0].data_size) == (facts[1].tail, facts[1].data_size)
    assert facts[0].quick_key != facts[1].quick_key


def test_a_file_taken_as_bytes_has_a_quick_key_and_nothing_else(tmp_path: Path) -> None:
    path = lora(tmp_path / "a.pt", 1)

    facts = derive(Task(0, str(path), opened=False)).facts

    assert facts is not None
    assert facts.quick_key == read_quick(path).quick_key
    assert (facts.header, facts.cause, facts.problems) == (None, None, ())
    assert is_opened(b"x/A.SafeTensors")
    assert not is_opened(b"x/a.pt")


def test_an_empty_file_has_no_quick_key_and_a_cause(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")

    facts = derive(Task(0, str(tmp_path / "a.safetensors"))).facts

    assert facts is not None
    assert (facts.quick_key, facts.cause) == (None, "empty-file")


def test_a_known_header_is_answered_with_nothing_new(tmp_path: Path) -> None:
    path = lora(tmp_path / "a.safetensors", 1)
    facts = derive(Task(0, str(path))).facts
    assert facts is not None
    assert facts.header is not None

    assert derive(Task(3, str(path), known=facts.header.digest)) == (3, None, None)
    assert derive(Task(3, str(path), known=b"other")).facts == facts


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    key, facts, problem = derive(Task(1, str(tmp_path / "gone.safetensors")))

    assert (key, facts) == (1, None)
    assert problem is not None
    assert problem.slug == "unreadable-file"


@pytest.mark.parametrize("readers", [1, 8])
def test_a_file_we_fail_at_is_a_problem_and_the_others_are_looked_at(tmp_path: Path, readers: int) -> None:
    tasks = [Task(key, str(lora(tmp_path / f"{name}.safetensors", key))) for key, name in enumerate("abcd")]

    def fails(path: str, known: bytes | None) -> QuickHead | None:
        head = read_quick(path)
        if path.endswith("b.safetensors"):
            raise OverflowError("\x1b[31m too large")
        # What no reader returns stands for a header that no parser of ours should fail at.
        return head._replace(data=None) if path.endswith("c.safetensors") else head  # type: ignore[arg-type]

    answers = derive_chunk(tasks, readers, fails)

    assert [answer.key for answer in answers] == [0, 1, 2, 3]
    assert [answer.facts is not None for answer in answers] == [True, False, False, True]
    problems = [answer.problem for answer in answers if answer.problem is not None]
    assert [problem.slug for problem in problems] == ["reader-failed"] * 2
    assert "OverflowError '\\x1b[31m too large'" in problems[0].text
    assert "TypeError" in problems[1].text
    assert "registry.formats.safetensors, line " in problems[1].text
    assert all("This is a bug, please report it" in problem.text for problem in problems)


def test_hostile_shapes_are_looked_at_like_any_broken_header(tmp_path: Path) -> None:
    shapes = {
        '["x",18446744073709551615]': "invalid-tensor",
        "[[0],9000000000000000]": "invalid-tensor",
        f"[{','.join(['18446744073709551615'] * 100_000)}]": "overflow",
    }
    path = tmp_path / "a.safetensors"
    found = []
    for shape in shapes:
        path.write_bytes(frame(f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,4]}}}}') + b"data")
        facts = derive(Task(0, str(path))).facts
        assert facts is not None
        assert facts.header is not None
        found.append((facts.cause, len(facts.problems)))

    assert found == [(cause, 1) for cause in shapes.values()]


@pytest.mark.parametrize("readers", [1, 3, 8])
def test_a_chunk_is_answered_in_order_however_many_read_it(tmp_path: Path, readers: int) -> None:
    tasks = [Task(key, str(lora(tmp_path / f"{key}.safetensors", key))) for key in range(9)]

    answers = derive_chunk(tasks, readers)

    assert [answer.key for answer in answers] == list(range(9))
    assert answers == [derive(task) for task in tasks]
    assert pickle.loads(pickle.dumps(answers)) == answers  # noqa: S301 - this is how they come back


def test_numbers_and_texts_no_database_could_hold_are_left_out_or_mended(tmp_path: Path) -> None:
    metadata = {
        "ss_seed": str(1 << 70),
        "ss_network_dim": "1e999",
        "ss_learning_rate": "1e308",
        "ss_output_name": "a\x00b\ud800",
        "ss_training_started_at": "-5",
    }
    path = tmp_path / "a.safetensors"
    raw = header_bytes({}, {key: value for key, value in metadata.items() if key != "ss_output_name"})
    body = raw[8:].rstrip().removesuffix(b"}}") + rb',"ss_output_name":"a\u0000b\ud800"}}'
    path.write_bytes(len(body).to_bytes(8, "little") + body)

    facts = derive(Task(0, str(path))).facts

    assert facts is not None
    assert facts.header is not None
    columns = facts.header.columns
    assert [columns[name] for name in ("seed", "network_dim", "learning_rate", "started_at")] == [None] * 4
    assert columns["output_name"] == "a\u2400b\ufffd"


def test_inode_numbers_fit_into_signed_columns() -> None:
    assert fold_inode(0) == 0
    assert fold_inode((1 << 63) - 1) == (1 << 63) - 1
    assert fold_inode(1 << 63) == -(1 << 63)
    assert fold_inode((1 << 64) - 1) == -1
