"""How long a new file takes from its close to its presence in `GET /api/v1/loras`.

    python -m bench.watch [--files 40] [--library 0]

Starts a real server on a folder of its own, writes files one after the other, half of them under a partial
name that is renamed, and asks the API until each is listed. Prints JSON with the median, the 95th percentile
and the worst, and beside them what a bare poll of the same route costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench.library import library
from tests.support.files import kohya_lora

TARGET_SECONDS = 1.0


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=40, help="files to drop one after the other")
    parser.add_argument("--library", type=int, default=0, help="files that are there before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as folder:
        print(json.dumps(measure(Path(folder), arguments.files, arguments.library), indent=2))


def measure(folder: Path, files: int, there: int) -> dict[str, object]:
    """Serve `folder`, drop files, return the figures."""
    root = folder / "library"
    root.mkdir()
    if there:
        library(root, there)
    environment = {**os.environ, "LORAS_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "cli", "serve", str(root), "--port", "0"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True) as server,
    ):
        try:
            url = _url(folder / "data", server)
            with httpx.Client(base_url=url, timeout=30) as client:
                _wait_for(client, there)
                waits = [_drop(client, root, number) for number in range(files)]
                poll = _poll(client)
        finally:
            server.terminate()
    ordered = sorted(waits)
    return {
        "files": files,
        "library": there,
        "median_s": round(statistics.median(ordered), 3),
        "p95_s": round(ordered[max(0, round(0.95 * len(ordered)) - 1)], 3),
        "worst_s": round(ordered[-1], 3),
        "bare_poll_s": round(poll, 4),
        "p95_over_target": round(ordered[max(0, round(0.95 * len(ordered)) - 1)] / TARGET_SECONDS, 3),
    }


def _url(data: Path, server: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        for place in data.glob("serving-*.json"):
            return str(json.loads(place.read_text(encoding="utf-8"))["url"])
        time.sleep(0.05)
    raise SystemExit("the server did not start")


def _total(client: httpx.Client) -> int:
    return int(client.get("/api/v1/loras", params={"limit": 1}).json()["total"])


def _wait_for(client: httpx.Client, count: int) -> None:
    while _total(client) < count:
        time.sleep(0.2)
    # The watcher asks for its own first scan; let that pass.
    time.sleep(2)


def _drop(client: httpx.Client, root: Path, number: int) -> float:
    """Write one file and return the seconds from its close to its presence in the list."""
    target = root / f"folder_{number % 7}" / f"new_{number:04d}.safetensors"
    target.parent.mkdir(exist_ok=True)
    if number % 2:
        partial = target.with_suffix(".part")
        kohya_lora(partial, seed=number)
        partial.rename(target)
    else:
        kohya_lora(target, seed=number)
    closed = time.monotonic()
    while True:
        answer = client.get("/api/v1/loras", params={"sort": "added", "order": "desc", "limit": 3}).json()
        if any(item["name"] == target.stem for item in answer["items"]):
            return time.monotonic() - closed
        time.sleep(0.01)


def _poll(client: httpx.Client) -> float:
    began = time.monotonic()
    for _ in range(50):
        client.get("/api/v1/loras", params={"sort": "added", "order": "desc", "limit": 3})
    return (time.monotonic() - began) / 50


if __name__ == "__main__":
    main()
