"""A1111's order of files as byte keys that a database can sort by.

Source: AUTOMATIC1111/stable-diffusion-webui `modules/util.py`, natural_sort_key and walk_files: digit runs
compare as integers, the text between them in lower case; directories by full path, files within each.
"""

from __future__ import annotations

import re
import zlib

_DIGITS = re.compile("([0-9]+)")
_END_OF_TEXT = b"\x00"
# Length bytes of a number: 1 stands for zero (no digits left), 255 for eight more bytes of length.
_LONG = 254


def natural_key(text: str) -> bytes:
    """Encode a text so that byte order equals A1111's natural order; equal keys mean equal for A1111.

    A1111 itself fails on texts that consist of non-ASCII digits only; here they are ordinary characters.
    """
    chunks = _DIGITS.split(text)
    key = bytearray()
    for position, chunk in enumerate(chunks):
        key += _number(chunk) if position % 2 else _words(chunk)
    return bytes(key)


def sort_key(directory: str, file_name: str) -> bytes:
    """Encode the place of a file in the list of its root: directories in natural order, then their files.

    `directory` is relative to the root, with native separators, and empty for the root itself: the common
    start of full paths changes nothing. Files of directories that A1111 finds equal (`a1`, `A01`) stay
    together; of equal file names in one directory the order is the caller's.
    """
    folder = zlib.crc32(directory.encode("utf-8", "surrogatepass")).to_bytes(4, "big")
    return natural_key(directory) + b"\x00" + folder + natural_key(file_name)


def _words(text: str) -> bytes:
    # UTF-8 keeps the order of code points, surrogates included. Escaping \0 leaves room for the end mark,
    # which sorts before all characters and before the length byte of a number.
    encoded = text.lower().encode("utf-8", "surrogatepass")
    if b"\x00" in encoded or b"\x01" in encoded:
        encoded = encoded.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
    return encoded + _END_OF_TEXT


def _number(digits: str) -> bytes:
    significant = digits.lstrip("0").encode("ascii")
    length = len(significant)
    if length < _LONG:
        return bytes((length + 1,)) + significant
    return b"\xff" + length.to_bytes(8, "big") + significant
