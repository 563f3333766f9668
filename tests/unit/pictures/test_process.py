"""The child process that decodes, with real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from registry.errors import BadPicture, Cancelled, RegistryError
from registry.pictures.answers import MAX_ANSWER
from registry.pictures.decoding import answer
from registry.pictures.picture import DEFAULTS, Limits
from registry.pictures.process import Decoder
from tests.support.pictures import declared, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = plain()
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither such limits nor named pipes")


def obeys(data: bytes, limits: Limits) -> bytes:
    """Decode like the product, but do what the end of an image says."""
    order = data.rpartition(b"order:")[2] if b"order:" in data else b""
    if order == b"die":
        os._exit(9)
    if order == b"hang":
        threading.Event().wait()
    if order == b"lie":
        return b"\0" * 17 + b"<html>"
    if order == b"gush":
        return bytes(MAX_ANSWER + 1)
    if order.startswith(b"tell "):
        Path(os.fsdecode(order.removeprefix(b"tell "))).write_text("begun", encoding="ascii")
        threading.Event().wait()
    return answer(data, limits)


OBEYS = f"{__name__}:obeys"


def ordered(order: str) -> bytes:
    return GOOD + b"order:" + os.fsencode(order)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


@pytest.fixture
def obedient() -> Iterator[Decoder]:
    decoder = Decoder(replace(DEFAULTS, seconds=5.0), OBEYS)
    yield decoder
    decoder.close()


def process_of(decoder: Decoder) -> psutil.Process:
    assert decoder._child is not None
    return psutil.Process(decoder._child._process.pid)


def test_an_image_is_decoded(decoder: Decoder) -> None:
    found = decoder.decode(plain("JPEG", (900, 600)))
    assert (found.kind.name, found.width, found.height) == ("JPEG", 900, 600)
    assert found.thumbnail is not None


def test_one_process_decodes_for_all_threads(decoder: Decoder) -> None:
    images = [plain(size=(side, 7)) for side in range(1, 41)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(decoder.decode, images))
        before = process_of(decoder)
        again = list(threads.map(decoder.decode, images))

    assert [one.width for one in found] == list(range(1, 41))
    assert again == found
    assert process_of(decoder) == before


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"<svg/>", "it is no picture"),
        (b"\xff\x0a\0", "JPEG XL is not decoded"),
        (b"\0\0\0\x18ftypmp42", "MP4 is not decoded"),
        (GOOD + bytes(500), "has .* bytes, more than 500"),
    ],
)
def test_what_cannot_be_decoded_starts_no_process(data: bytes, words: str) -> None:
    decoder = Decoder(replace(DEFAULTS, size=500))
    with pytest.raises(BadPicture, match=words):
        decoder.decode(data)
    assert decoder._child is None
    decoder.close()


def test_a_damaged_image_leaves_the_process_alone(decoder: Decoder) -> None:
    decoder.decode(GOOD)
    before = process_of(decoder)
    with pytest.raises(BadPicture, match="damaged"):
        decoder.decode(GOOD[:50])
    assert process_of(decoder) == before


@pytest.mark.parametrize(
    ("order", "words"),
    [("die", "ended the process"), ("lie", "led its decoder astray"), ("gush", "ended the process")],
)
def test_after_an_image_that_took_its_process_along_the_next_is_decoded(
    obedient: Decoder, order: str, words: str
) -> None:
    with pytest.raises(BadPicture, match=words):
        obedient.decode(ordered(order))
    assert obedient._child is None
    assert obedient.decode(GOOD).width == 60


def test_an_image_that_takes_too_long_ends_with_its_process() -> None:
    decoder = Decoder(replace(DEFAULTS, seconds=2.0), OBEYS)
    with pytest.raises(BadPicture, match="took more than 2 seconds"):
        decoder.decode(ordered("hang"))
    assert decoder._child is None
    decoder.close()


def test_a_process_that_died_of_something_else_is_no_images_fault(obedient: Decoder) -> None:
    obedient.decode(GOOD)
    before = process_of(obedient)
    before.kill()
    psutil.wait_procs([before], timeout=60)

    assert obedient.decode(GOOD).width == 60
    assert process_of(obedient) != before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to RLIMIT_AS")
def test_an_image_that_needs_more_memory_than_it_may_is_refused() -> None:
    decoder = Decoder(replace(DEFAULTS, memory=300 << 20))
    with pytest.raises(BadPicture, match="more memory than it may take"):
        decoder.decode(declared(9900, 9900))
    assert decoder.decode(GOOD).width == 60
    decoder.close()


def test_processes_that_cannot_start_are_given_up_and_no_image_is_blamed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    decoder = Decoder(work=f"{__name__}:is_not_there")
    with pytest.raises(RegistryError, match="end before they have begun") as caught:
        decoder.decode(GOOD)
    assert not isinstance(caught.value, BadPicture)
    assert "short of memory" in caught.value.remedy
    assert capfd.readouterr().err.count("Traceback") == 3
    decoder.close()


def test_after_it_is_closed_nothing_is_decoded() -> None:
    decoder = Decoder()
    decoder.decode(GOOD)
    process = process_of(decoder)
    decoder.close()
    decoder.close()

    with pytest.raises(Cancelled):
        decoder.decode(GOOD)
    assert not process.is_running()


@posix
def test_closing_it_ends_what_is_being_decoded(tmp_path: Path) -> None:
    decoder = Decoder(work=OBEYS)
    told = tmp_path / "told"
    os.mkfifo(told)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(decoder.decode, ordered(f"tell {told}")) for _ in range(2)]
        assert told.read_text(encoding="ascii") == "begun"
        decoder.close()
        for one in waiting:
            with pytest.raises(Cancelled):
                one.result(timeout=60)


PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from registry.pictures.picture import DEFAULTS
from registry.pictures.process import Decoder
if __name__ == "__main__":
    decoder = Decoder(replace(DEFAULTS, seconds=600.0), sys.argv[1])
    decoder.decode(Path(sys.argv[2]).read_bytes())
    print(decoder._child._process.pid, "PIL" in sys.modules, flush=True)
    decoder.decode(Path(sys.argv[3]).read_bytes())
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that decodes one image, says so, and hangs over another."""
    script, good, bad = (tmp_path / name for name in ("program.py", "good", "bad"))
    script.write_text(PROGRAM, encoding="utf-8")
    good.write_bytes(GOOD)
    bad.write_bytes(ordered("hang"))
    with subprocess.Popen(
        [sys.executable, str(script), OBEYS, str(good), str(bad)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        running.kill()


def test_pillow_is_loaded_in_the_child_which_ends_with_a_parent_that_was_killed(
    program: subprocess.Popen[str],
) -> None:
    assert program.stdout is not None
    child, loaded = program.stdout.readline().split()
    process = psutil.Process(int(child))
    program.kill()

    gone, _ = psutil.wait_procs([process], timeout=60)
    assert gone == [process]
    assert loaded == "False"
