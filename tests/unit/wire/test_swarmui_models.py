"""The LoRA lists of SwarmUI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.errors import BadRequest, CatalogBusy, Forbidden, NotFound, RegistryError, Unauthorized
from registry.identify.names import ARCHITECTURES
from registry.told import Licence
from registry.wire import swarmui_models as swarm
from registry.wire.swarmui_classes import CLASSES, class_of
from tests.support.dialect_entries import DATA_SHA256, entry, hashed

if TYPE_CHECKING:
    from registry.shown import Entry

KEYS = [
    "name", "title", "author", "description", "preview_image", "loaded", "architecture", "class",
    "compat_class", "resolution", "standard_width", "standard_height", "license", "date", "prediction_type",
    "usage_hint", "trigger_phrase", "merged_from", "tags", "is_supported_model_format",
    "is_negative_embedding", "lora_default_weight", "lora_default_confinement", "local", "time_created",
    "time_modified", "hash", "hash_sha256", "special_format",
]  # fmt: skip


def no_picture(_entry: Entry) -> None:
    return None


def body(**members: Any) -> dict[str, Any]:
    return {"session_id": "s", "path": "", "depth": 2, "subtype": "LoRA", **members}


def listing(files: list[Entry], **members: Any) -> tuple[list[str], list[str]]:
    answer = swarm.list_models(files, swarm.list_request(body(**members)), no_picture)
    return answer["folders"], [each["name"] for each in answer["files"]]


FILES = [entry(path) for path in ("b.pt", "a.pt", "x/c.pt", "x/y/d.pt", "x/y/z/e.pt", "xx/f.pt")]


@pytest.mark.parametrize(
    ("path", "depth", "folders", "files"),
    [
        ("", 1, ["x", "xx"], ["a.pt", "b.pt"]),
        ("", 2, ["x", "x/y", "xx"], ["a.pt", "b.pt", "x/c.pt", "xx/f.pt"]),
        ("", 0, ["x", "xx"], ["a.pt", "b.pt"]),
        ("", -5, ["x", "xx"], ["a.pt", "b.pt"]),
        ("x", 1, ["y"], ["x/c.pt"]),
        ("/x/", 2, ["y", "y/z"], ["x/c.pt", "x/y/d.pt"]),
        ("x\\y", 1, ["z"], ["x/y/d.pt"]),
        ("x//y", 99, ["z"], ["x/y/d.pt", "x/y/z/e.pt"]),
        ("nowhere", 5, [], []),
    ],
)
def test_depth_counts_the_folder_itself(path: str, depth: int, folders: list[str], files: list[str]) -> None:
    assert listing(FILES, path=path, depth=depth) == (folders, files)


def test_a_depth_is_twenty_at_most() -> None:
    deep = entry("/".join(["d"] * 20) + "/e.pt")
    assert listing([deep], depth=21)[1] == []
    assert len(listing([deep], depth=21)[0]) == 20


def test_no_list_is_cut() -> None:
    assert len(listing([entry(f"{number}.pt") for number in range(6000)])[1]) == 6000


def test_of_roots_that_have_a_name_the_first_is_told() -> None:
    second, first = entry("a.pt", root=1, size=2), entry("a.pt", size=1)
    answer = swarm.list_models([second, first], swarm.list_request(body()), lambda each: f"/p/{each.root}")
    assert [each["preview_image"] for each in answer["files"]] == ["/p/0"]


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("Name", ["A.pt", "b.pt", "c.pt"]),
        ("name", ["A.pt", "b.pt", "c.pt"]),
        ("Title", ["c.pt", "b.pt", "A.pt"]),
        ("DateCreated", ["b.pt", "A.pt", "c.pt"]),
        ("DateModified", ["c.pt", "A.pt", "b.pt"]),
    ],
)
def test_newest_come_first_and_names_decide_between_equals(sort: str, names: list[str]) -> None:
    files = [
        entry("c.pt", modified=9, added=1, shown={"name": "one"}),
        entry("b.pt", modified=3, added=5, shown={"name": "TWO"}),
        entry("A.pt", modified=3, added=1, shown={"name": "two b"}),
    ]
    assert listing(files, sortBy=sort)[1] == names
    assert listing(files, sortBy=sort, sortReverse=True)[1] == names[::-1]


def test_there_are_only_loras() -> None:
    assert listing(FILES, subtype="Stable-Diffusion") == ([], [])
    assert swarm.list_request({"path": "", "depth": 1}).subtype == "Stable-Diffusion"
    with pytest.raises(NotFound, match="Invalid sub-type"):
        swarm.list_request(body(subtype="Lora"))


def test_a_request_has_what_swarmui_defaults_to() -> None:
    request = swarm.list_request({"path": "a", "depth": "3", "subtype": "LoRA", "dataImages": "true"})
    assert request == swarm.ListRequest("a/", 3, "LoRA", "name", reverse=False, data_images=True)


@pytest.mark.parametrize(
    "sent",
    [
        None, [], "x", {}, body(path=None), body(path=3), body(path="x" * 5000), body(depth=None),
        body(depth="deep"), body(depth=[1]), body(depth=1.5), body(depth=True), body(depth=10**30),
        body(sortBy="Size"), body(sortBy=["Name"]), body(subtype=None),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used_is_refused(sent: object) -> None:
    with pytest.raises(BadRequest):
        swarm.list_request(sent)


def test_any_session_will_do_but_there_has_to_be_one() -> None:
    assert swarm.session_of({"session_id": "x"}) == "x"
    assert swarm.session_of({}, "from the header") == "from the header"
    refused: tuple[object, ...] = (
        {},
        {"session_id": 3},
        {"session_id": ""},
        {"session_id": "x" * 1000},
        [],
        None,
    )
    for sent in refused:
        with pytest.raises(BadRequest):
            swarm.session_of(sent)


def test_a_new_session_may_look_at_models() -> None:
    assert swarm.session("abc", user="local", version="1", server="s") == {
        "session_id": "abc",
        "user_id": "local",
        "output_append_user": False,
        "version": "1",
        "server_id": "s",
        "permissions": ["fundamental_model_access"],
    }


def test_a_model_has_every_key_in_order() -> None:
    assert list(swarm.model(entry(), no_picture)) == KEYS


def test_a_model_tells_what_is_shown_of_it() -> None:
    known = hashed(
        "x/hat.safetensors",
        header={"finished_at": 1_700_000_000_000},
        shown={
            "name": "Hats",
            "creator": "milliner",
            "version_name": "v2",
            "description": "<p>Hats <script>alert(1)</script>for all</p>",
            "notes": "not for cats",
            "triggers": (("hat", "straw"), ("cap",)),
            "tags": ("clothing", "hat"),
            "user_tags": ("mine", "hat"),
            "weight": 0.8,
            "licence": Licence(no_credit=False, commercial_use=("Image", "Rent"), derivatives=True),
        },
    )
    told = swarm.model(known, lambda each: f"/pictures/{each.file_id}")
    assert told["name"] == "x/hat.safetensors"
    assert (told["title"], told["author"]) == ("Hats", "milliner")
    assert told["description"] == "v2\n\nHats for all"
    assert told["preview_image"] == "/pictures/1"
    assert (told["architecture"], told["compat_class"]) == (
        "stable-diffusion-xl-v1-base/lora",
        "stable-diffusion-xl-v1",
    )
    assert (told["resolution"], told["standard_width"], told["standard_height"]) == ("1024x1024", 1024, 1024)
    assert told["license"] == "credit the author; commercial use: Image, Rent; derivatives allowed"
    assert told["date"] == "2023-11-14T22:13:20Z"
    assert told["usage_hint"] == "not for cats"
    assert told["trigger_phrase"] == "hat, straw, cap"
    assert told["tags"] == ["mine", "hat", "clothing"]
    assert (told["is_supported_model_format"], told["lora_default_weight"]) == (True, "0.8")
    assert (told["time_created"], told["time_modified"]) == (1_690_000_000_000, 1_700_000_000_500)
    assert told["hash"] == told["hash_sha256"] == "0x" + DATA_SHA256


def test_what_is_not_known_is_told_as_swarmui_does() -> None:
    told = swarm.model(entry("a.ckpt", architecture="unknown"), no_picture)
    nothing = [key for key in KEYS if told[key] is None]
    assert nothing == [
        "author", "description", "architecture", "class", "compat_class", "license", "date",
        "prediction_type", "usage_hint", "trigger_phrase", "merged_from", "tags",
    ]  # fmt: skip
    assert (told["resolution"], told["hash"], told["lora_default_weight"]) == ("0x0", "", "")
    assert told["is_supported_model_format"] is False
    assert told["preview_image"] == "imgs/model_placeholder.jpg"


def test_a_date_beyond_all_calendars_is_none() -> None:
    assert swarm.model(entry(header={"finished_at": 10**18}), no_picture)["date"] is None


def test_classes_are_those_of_the_base_model_where_it_has_its_own() -> None:
    assert CLASSES.keys() < ARCHITECTURES.keys()
    found = {
        base: known and known.id
        for base, architecture in [("wan2.2-5b", "wan"), ("wan2.1", "wan"), ("kontext", "flux1")]
        for known in [class_of(entry(architecture=architecture, base_model=base))]
    }
    assert found == {"wan2.2-5b": "wan-2_2-ti2v-5b/lora", "wan2.1": None, "kontext": "Flux.1-dev/lora"}
    assert class_of(entry(kind="checkpoint")) is None


def asked(name: object, subtype: str = "LoRA") -> swarm.ModelRequest:
    return swarm.model_request({"modelName": name, "subtype": subtype})


def test_a_model_is_found_with_or_without_its_extension() -> None:
    files = [hashed("x/hat.safetensors"), entry("x/hat"), entry("hat.pt")]
    for name in ("x/hat", "/x\\hat.safetensors", "x//hat"):
        answer = swarm.describe(files, asked(name), no_picture)
        assert answer["model"]["name"] == "x/hat.safetensors"
    assert swarm.model_hash(files, asked("x/hat")) == {"hash": "0x" + DATA_SHA256}
    assert swarm.model_hash(files, asked("hat.pt")) == {"hash": None}


def test_a_model_that_is_not_there_is_not_found() -> None:
    for request in (asked("hat2"), asked(""), asked("hat", "VAE")):
        with pytest.raises(NotFound, match=r"Model not found\."):
            swarm.describe([entry()], request, no_picture)
    with pytest.raises(BadRequest):
        asked(None)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (NotFound("Model not found."), 200, {"error": "Model not found."}),
        (BadRequest("missing session id"), 400, {"error_id": "basic_api", "error": "missing session id"}),
        (Unauthorized("No token."), 401, {"error_id": "invalid_session_id", "error": "No token."}),
        (Forbidden("No."), 403, {"error_id": "bad_permissions", "error": "No."}),
        (CatalogBusy("x"), 503, {"error_id": "internal_error", "error": "An internal error occurred"}),
    ],
)
def test_a_refusal_is_told_as_swarmui_tells_it(
    error: RegistryError, status: int, told: dict[str, str]
) -> None:
    assert swarm.failure(error) == (status, told)
