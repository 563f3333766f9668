"""How events of the system become signs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
    FileSystemEvent,
)

from registry.ingest.observe import Place, Sign, signs_of
from registry.ingest.settle import Kind

TOP = f"{os.sep}real{os.sep}loras"
PLACE = Place(TOP, b"", (b".safetensors", b".sft"), frozenset({b"inner"}))
LINKED = PLACE._replace(rel=b"linked")


def at(*parts: str) -> str:
    return str(Path(TOP, *parts))


@pytest.mark.parametrize(
    ("event", "signs"),
    [
        (FileClosedEvent(at("d", "a.sft")), [Sign(Kind.CLOSED, b"d/a.sft")]),
        (FileCreatedEvent(at("A.SafeTensors")), [Sign(Kind.CREATED, b"A.SafeTensors")]),
        (FileModifiedEvent(at("a.sft")), [Sign(Kind.MODIFIED, b"a.sft")]),
        (FileDeletedEvent(at("a.sft")), [Sign(Kind.DELETED, b"a.sft")]),
        (FileMovedEvent(at("a.sft"), at("d", "b.sft")), [Sign(Kind.CLOSED, b"d/b.sft", b"a.sft")]),
        (FileMovedEvent(at("a.sft.part"), at("a.sft")), [Sign(Kind.CLOSED, b"a.sft")]),
        (FileMovedEvent(at("a.sft"), at("a.sft.backup")), [Sign(Kind.DELETED, b"a.sft")]),
        (FileMovedEvent("", at("a.sft")), [Sign(Kind.CLOSED, b"a.sft")]),
        (FileMovedEvent(at("a.sft"), f"{os.sep}elsewhere.sft"), [Sign(Kind.DELETED, b"a.sft")]),
        (FileClosedEvent(at("d", "a.png")), [Sign(Kind.BESIDE, b"d")]),
        (FileDeletedEvent(at("a.civitai.info")), [Sign(Kind.BESIDE, b"")]),
        (FileCreatedEvent(at("perhaps")), [Sign(Kind.FOLDER, b"perhaps", certain=False)]),
        (FileDeletedEvent(at("perhaps")), [Sign(Kind.FOLDER, b"perhaps")]),
        (DirCreatedEvent(at("d")), [Sign(Kind.FOLDER, b"d")]),
        (DirDeletedEvent(TOP), [Sign(Kind.FOLDER, b"")]),
        (DirMovedEvent(at("d"), at("e")), [Sign(Kind.FOLDER, b"e"), Sign(Kind.FOLDER, b"d")]),
    ],
)
def test_an_event_of_interest_becomes_a_sign(event: FileSystemEvent, signs: list[Sign]) -> None:
    assert signs_of(event, PLACE) == signs


@pytest.mark.parametrize(
    "event",
    [
        FileClosedEvent(at("a.sft.part")),
        FileClosedEvent(at(".git", "a.sft")),
        FileClosedEvent(at("inner", "a.sft")),
        DirCreatedEvent(at("inner")),
        DirCreatedEvent(at("download.tmp")),
        FileClosedEvent(f"{TOP}2{os.sep}a.sft"),
        FileOpenedEvent(at("a.sft")),
        DirModifiedEvent(at("d")),
        FileModifiedEvent(at("notes.doc")),
        FileCreatedEvent(at(".hidden")),
    ],
)
def test_events_of_no_interest_are_dropped(event: FileSystemEvent) -> None:
    assert signs_of(event, PLACE) == []


def test_events_below_a_link_are_told_under_the_path_of_the_link() -> None:
    assert signs_of(FileClosedEvent(at("d", "a.sft")), LINKED) == [Sign(Kind.CLOSED, b"linked/d/a.sft")]
    assert signs_of(DirDeletedEvent(TOP), LINKED) == [Sign(Kind.FOLDER, b"linked")]


@pytest.mark.skipif(os.name == "nt", reason="Windows names are Unicode")
def test_names_that_are_no_text_come_through() -> None:
    event = FileClosedEvent(os.fsdecode(os.fsencode(TOP) + b"/\xff.sft"))
    assert signs_of(event, PLACE) == [Sign(Kind.CLOSED, b"\xff.sft")]
