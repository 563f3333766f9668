"""A program that scans and hashes a folder: `python -m tests.support.scanner DATA FOLDER AUDIT`.

Each file whose bytes were all read is added to the file AUDIT, one line each, before its hashes are stored.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from registry.app import Reading, open_registry
from registry.config import load_settings
from registry.hashing.reader import HashedFile, hash_file


def main() -> None:
    """Scan and hash until all is done."""
    data, folder, audit = sys.argv[1:]

    def audited(path: str, **options: Any) -> HashedFile:
        found = hash_file(path, **options)
        descriptor = os.open(audit, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, os.fsencode(Path(path).relative_to(folder)) + b"\n")
        os.close(descriptor)
        return found

    settings = load_settings(data_dir=data, workers=1, hash_readers=2)
    with open_registry(settings, reading=Reading(hasher=audited)) as registry:
        root = registry.add_root(folder)
        registry.scan(root.id)
        registry.hash_all()


if __name__ == "__main__":
    main()
