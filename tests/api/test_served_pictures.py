"""Pictures with the real program: looked at while it serves, fetched by its sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.civitai import civitai_server
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.pictures import opened, plain
from tests.support.program import run
from tests.support.served import served, until
from tests.support.shelf import lora

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.served import Served


def previews(server: Served, name: str) -> bool:
    return server.ask("GET", f"/loras/{name}/preview").status_code == 200


def test_pictures_are_looked_at_after_a_scan_and_when_they_appear(tmp_path: Path) -> None:
    folder = lora(tmp_path / "loras" / "a.safetensors", 1).parent
    (folder / "a.png").write_bytes(plain(size=(900, 600)))
    with served(tmp_path / "data", str(folder)) as server:
        until(lambda: previews(server, "a"))
        assert opened(server.ask("GET", "/loras/a/preview").content).size == (450, 300)
        lora(folder / "b.safetensors", 2)
        (folder / "b.preview.jpg").write_bytes(plain("JPEG"))
        until(lambda: previews(server, "b"))


def test_a_sync_fetches_pictures_and_doctor_names_the_hosts(tmp_path: Path) -> None:
    folder = lora(tmp_path / "loras" / "a.safetensors", 1).parent
    data = tmp_path / "data"
    assert run(data, ["scan", str(folder)]).code == 0
    sha256 = run(data, ["show", "a", "--json"]).json()["lora"]["files"][0]["hashes"]["sha256"]
    with civitai_server() as fake:
        settings = {"LORAS_CIVITAI_URL": fake.url}
        images = [image_answer(fake.add_image("1.png", plain()))]
        fake.add(model_answer(7, [version_answer(70, [file_answer(sha256)], images=images)]))
        estimated = run(data, ["sync", "--dry-run", "--json"], settings).json()
        assert (estimated["pictures"], fake.asked) == (1, [])
        assert run(data, ["sync", "--json"], settings).json()["pictures"] == 1
        none = {**settings, "LORAS_CIVITAI_IMAGES": "none"}
        assert run(data, ["sync", "--all", "--dry-run", "--json"], none).json()["pictures"] == 0
        told = run(data, ["doctor", "--json"], settings).out
        assert "image.civitai.com" in told
        assert "image.civitai.com" not in run(data, ["doctor", "--json"], none).out
    with served(data, **settings) as server:
        (picture,) = server.get("/loras/a/pictures")["items"]
        assert (picture["source"], picture["level"]) == ("civitai", 1)
        assert previews(server, "a")
