"""What the page of one lora gets."""

from __future__ import annotations

from dataclasses import asdict, replace

from registry.catalog.reading import TRAINING as COLUMNS
from registry.ingest.hashqueue import STORED
from registry.shown import Shown, Source
from registry.told import SidecarFacts, UserFacts
from registry.views import FileView, LoraDetail, ProblemView, SidecarView
from registry.web.particulars import HASHES, MOST, TRAINING, VERDICTS, particulars
from tests.unit.web.samples import FILE, LORA, NOW

HASHED = replace(
    FILE,
    hashes={"crc32": "0" * 8, "sha256": "b" * 64, "odd": "1"},
    claims=[
        {"name": "sshs_model_hash", "claimed": "c" * 64, "computed": "a" * 64, "verdict": "differs"},
        {"name": "sshs_legacy_hash", "claimed": "zz", "computed": None, "verdict": "malformed"},
    ],
    companions=[{"name": "x.png", "kind": "preview", "family": "a1111"}],
)
DETAIL = LoraDetail(
    lora=replace(LORA, files=[HASHED], replaces=3, title="Another title", training={"learning_rate": 1e-4}),
    identification={
        "evidence": ["264 modules"],
        "targets": ["unet", "te1"],
        "ranks": [8, 32],
        "ambiguous_with": [],
    },
    trigger_words={
        "claimed": [
            {"word": "sks", "source": "modelspec.trigger_phrase"},
            {"word": "style", "source": "ssmd_keywords"},
        ],
        "folders": [{"word": "10_sks", "source": "ss_dataset_dirs"}],
        "tags": [{"tag": "sky", "count": 9, "share": 0.9}, {"tag": "sea", "count": 1, "share": 0.1}],
    },
    tags=[{"tag": "sky", "count": 9}],
    metadata={"ss_b": "2", "ss_a": "1"},
    notes=[{"slug": "odd", "text": "something is odd"}],
    problems=[
        ProblemView(n, "claimed-hash-differs", "it differs", "hash", "x", 1, 7, 1, NOW) for n in (1, 2)
    ],
    sidecars=[],
)


def fact(detail: LoraDetail, name: str) -> tuple[str, str | None]:
    return next((one.value, one.url) for one in particulars(detail).facts if one.name == name)


def test_the_page_says_what_it_is_and_why() -> None:
    page = particulars(DETAIL)
    assert page.summary == "LoKr · Stable Diffusion XL · pony · rank 32 · 228 MB"
    assert page.title == "Another title"
    assert page.evidence == ("264 modules",)
    assert fact(DETAIL, "type") == ("LoKr", "/?q=adapter%3Alokr")
    assert fact(DETAIL, "rank") == ("32", "/?q=rank%3A32")
    assert fact(DETAIL, "all its ranks") == ("8, 32", None)
    assert fact(DETAIL, "changes") == ("unet, te1", None)
    assert page.replaces == ("lora 3", "/loras/3")
    assert page.json_url == "/api/v1/loras/7"


def test_what_it_may_be_is_told() -> None:
    unsure = replace(
        DETAIL,
        lora=replace(DETAIL.lora, architecture="ambiguous"),
        identification={"ambiguous_with": ["flux1", "chroma"], "evidence": []},
    )
    assert fact(unsure, "base model") == ("ambiguous", "/?q=arch%3Aambiguous")
    assert fact(unsure, "could be") == ("FLUX.1, Chroma", None)


def test_trigger_words_are_kept_apart_by_where_they_come_from() -> None:
    sources = [(source.name, [word.text for word in source.words]) for source in particulars(DETAIL).triggers]
    assert sources == [
        ("claimed by modelspec.trigger_phrase", ["sks"]),
        ("claimed by ssmd_keywords", ["style"]),
        ("names of dataset folders", ["10_sks"]),
        ("in at least half of the captions", ["sky"]),
    ]
    assert particulars(DETAIL).tags[0].url == "/?q=tag%3Asky"


def test_trigger_words_of_sidecars_are_told_by_the_first_that_says_so() -> None:
    def beside(name: str, verdict: str, facts: SidecarFacts | None) -> SidecarView:
        told: dict[str, object] | None = None if facts is None else asdict(facts)
        return SidecarView(1, name, "x", "x", verdict, NOW, None, told)

    facts = SidecarFacts("x", trigger_words=("sky", "sea"), user=UserFacts(activation_text="sky, red"))
    sidecars = [
        beside("a.json", "unsaid", facts),
        beside("b.json", "match", SidecarFacts("x", trigger_words=("sea", "sun"))),
        beside("c.json", "differs", SidecarFacts("x", trigger_words=("other",))),
        beside("d.json", "unsaid", None),
    ]
    sources = particulars(replace(DETAIL, trigger_words={}, sidecars=sidecars)).triggers
    assert [(source.name, [word.text for word in source.words]) for source in sources] == [
        ("in a.json", ["sky, red", "sky", "sea"]),
        ("in b.json", ["sun"]),
    ]


def test_training_is_told_in_words() -> None:
    training: dict[str, object] = {
        "resolution_width": 512,
        "resolution_height": 768,
        "learning_rate": 5e-05,
        "epoch": 0,
    }
    training |= {"started_at": NOW, "finished_at": 2**62, "comment": "a\nb", "session_id": 42}
    page = particulars(replace(DETAIL, lora=replace(LORA, training=training)))
    told = {one.name: one.value for one in page.training}
    assert told == {
        "resolution": "512 × 768",
        "epoch": "0",
        "learning rate": "5e-05",
        "session": "42",
        "started": "2023-11-14 22:13 UTC",
        "comment": "a\nb",
    }


def test_files_have_their_hashes_and_verdicts() -> None:
    (file,) = particulars(DETAIL).files
    assert [badge.text for badge in file.badges] == ["verified"]
    assert [(one.name, one.value[:1]) for one in file.hashes] == [
        ("sha256", "b"),
        ("crc32", "0"),
        ("odd", "1"),
    ]
    differs, malformed = file.claims
    assert (differs.verdict.text, differs.verdict.tone, differs.computed) == ("differs", "bad", "a" * 64)
    assert (malformed.claimed, malformed.computed) == ("zz", "")
    assert ("beside it", "x.png") in [(one.name, one.value) for one in file.facts]


def test_files_that_were_not_verified_say_so() -> None:
    def badges(file: FileView) -> list[str]:
        (shown,) = particulars(replace(DETAIL, lora=replace(LORA, files=[file]))).files
        return [badge.text for badge in shown.badges]

    assert badges(replace(FILE, verified=False, hash_state="pending")) == ["not hashed yet"]
    assert badges(replace(FILE, verified=False, hash_state="failed", cause="no-header")) == [
        "damaged",
        "could not be hashed",
    ]
    assert badges(replace(FILE, state="missing")) == ["missing", "verified"]


def test_problems_are_told_once_and_long_lists_are_cut() -> None:
    assert [one.text for one in particulars(DETAIL).problems] == ["it differs"]
    tags: list[dict[str, object]] = [{"tag": f"t{n}", "count": 1} for n in range(MOST + 5)]
    metadata = {f"k{n}": "v" * 5000 for n in range(MOST + 5)}
    page = particulars(replace(DETAIL, tags=tags, metadata=metadata))
    assert len(page.tags) + len(page.more_tags) == len(page.metadata) == MOST
    assert page.entries == MOST + 5
    assert page.metadata[0].value.endswith("(5,000 characters)")


def test_a_lora_without_header_or_files_has_a_page() -> None:
    page = particulars(LoraDetail(replace(LORA, files=[], state="gone"), {}, {}, [], {}, [], [], []))
    assert (page.files, page.triggers, page.evidence) == ((), (), ())
    assert [badge.text for badge in page.badges] == ["gone"]


def test_the_tables_know_every_verdict_digest_and_column() -> None:
    whole = {name.removesuffix("_width").removesuffix("_height") for name in COLUMNS}
    assert set(TRAINING) == whole
    assert set(STORED) - {"sshs_legacy_other"} <= set(HASHES)
    documented = {"match", "differs", "hash_of_nothing", "malformed", "unverifiable", "unchecked"}
    assert set(VERDICTS) == documented


def test_what_the_user_corrected_has_what_was_identified_beside_it() -> None:
    corrected = replace(
        LORA, corrected=["architecture", "base_model"], architecture="flux1", base_model="dev"
    )
    found: dict[str, object] = {"architecture": "sdxl", "base_model": None, "evidence": []}
    beside = {
        one.name: one.by for one in particulars(replace(DETAIL, lora=corrected, identification=found)).facts
    }
    assert beside["base model"] == "corrected by you; identified as Stable Diffusion XL"
    assert beside["variant"] == "corrected by you"
    assert beside["type"] == ""


def test_the_page_goes_by_the_name_that_the_user_gave_it() -> None:
    shown = Shown("Ink wash", sources={"name": Source("user", at=NOW)})
    page = particulars(replace(DETAIL, shown=shown))
    assert (page.name, page.title) == ("Ink wash", "x")
    told = replace(shown, sources={"name": Source("civitai", at=NOW)})
    page = particulars(replace(DETAIL, shown=told))
    assert (page.name, page.title) == ("x", "Ink wash")


def test_pictures_in_metadata_are_not_among_its_texts() -> None:
    metadata = {"modelspec.thumbnail": "data:image/jpeg;base64,AAAA", "ssmd_cover_images": "[]"}
    page = particulars(replace(DETAIL, metadata=metadata))
    assert [one.value for one in page.metadata] == ["27 characters of a picture", "2 characters of a picture"]
