from __future__ import annotations

from collections import Counter

from registry.identify import identify, rules, rules_affixes, rules_encoders, rules_kinds
from registry.identify.claims import folded
from registry.identify.names import (
    ADAPTERS,
    ALIASES,
    ARCHITECTURES,
    CHECKPOINT_HASHES,
    KINDS,
    LAYOUTS,
    NO_ARCHITECTURE,
    TARGETS,
    VARIANT_PAIRS,
    WORD_VARIANTS,
)
from registry.identify.patterns import Index, expand, template, words
from registry.identify.reading import read_name
from registry.identify.rules_encoders import SLOT_TARGETS
from tests.unit.identify.samples import state_dict

REAL = set(ARCHITECTURES) - NO_ARCHITECTURE


def test_architecture_rows_and_names_are_the_same_set_without_doubles() -> None:
    names = [row.name for row in rules.ARCHITECTURES]
    assert Counter(names).most_common(1)[0][1] == 1
    assert set(names) == REAL


def test_every_architecture_row_is_reachable_by_its_own_modules() -> None:
    for row in rules.ARCHITECTURES:
        patterns = (*row.requires, *row.modules)
        modules = {
            choice.replace("#", "1").removesuffix(".*"): (8, 8) for p in patterns for choice in expand(p)
        }
        found = identify(state_dict(modules, sized=False), {"ss_base_model_version": row.name})
        assert row.name in (found.architecture, *found.ambiguous_with), (row.name, found)


def test_widths_and_requirements_speak_of_modules_that_some_architecture_has() -> None:
    known = Index((pattern, row.name) for row in rules.ARCHITECTURES for pattern in row.modules)
    stems = {
        ".".join(choice.removesuffix(".*").split(".")[:1])
        for row in rules.ARCHITECTURES
        for pattern in row.modules
        for choice in expand(pattern)
    }
    for row in rules.ARCHITECTURES:
        for pattern in (*row.requires, *(width.modules for width in row.widths)):
            for choice in expand(pattern):
                if choice.endswith(".*"):
                    assert choice.split(".")[0] in stems, (row.name, choice)
                else:
                    assert known.match(template(words(choice))), (row.name, choice)


def test_every_alias_is_folded_and_names_a_known_architecture() -> None:
    for spelling, architecture in ALIASES.items():
        assert folded(spelling) == spelling
        assert architecture in REAL


def test_every_architecture_has_an_alias() -> None:
    assert set(ALIASES.values()) == REAL


def test_variants_belong_to_known_architectures_and_have_folded_words() -> None:
    assert {row.architecture for row in WORD_VARIANTS} <= REAL
    assert {row.architecture for row in rules.SIZE_VARIANTS} <= REAL
    assert {architecture for architecture, _ in CHECKPOINT_HASHES.values()} <= REAL
    assert all(folded(word) == word for row in WORD_VARIANTS for word in row.words)
    variants = {row.variant for row in WORD_VARIANTS} | {row.variant for row in rules.SIZE_VARIANTS}
    assert all(word in variants and size in variants for word, size in VARIANT_PAIRS)


def test_rows_about_choices_name_known_architectures() -> None:
    named = {name for row in rules.USUAL for name in (row.winner, *row.over)}
    named |= {name for pair in rules.TWINS for name in pair}
    named |= {name for row in rules.PLACES for name in (*row.only, *row.never)}
    named |= {name for row in rules.ABSENCES for name in (row.winner, *row.losers)}
    named |= {name for row in rules_encoders.ENCODERS for name in row.architectures}
    named |= {name for _, names in rules_encoders.EMBEDDING_SETS for name in names}
    assert named <= REAL


def test_prefixes_and_suffixes_are_unique() -> None:
    assert Counter(row.text for row in rules_affixes.PREFIXES).most_common(1)[0][1] == 1
    assert Counter(row.text for row in rules_affixes.SUFFIXES).most_common(1)[0][1] == 1


def test_every_suffix_row_is_reachable() -> None:
    for row in rules_affixes.SUFFIXES:
        text = row.text.replace("#", "0")
        name = f"unet{text}" if text.startswith(":") else f"blocks.0.self_attn.q.{text}"
        assert read_name(name).slot.suffix == row


def test_every_prefix_row_is_reachable() -> None:
    for row in rules_affixes.PREFIXES:
        slot = read_name(f"{row.text}zork.0.flurb.weight").slot
        assert slot.slot == row.slot
        assert slot.module == "zork_#_flurb"


def test_families_layouts_slots_and_kinds_are_known_names() -> None:
    families = {row.family for row in rules_affixes.SUFFIXES} - {"scale", "magnitude", "plain"}
    assert families <= set(ADAPTERS)
    layouts = {row.layout for row in rules_affixes.PREFIXES if row.layout}
    layouts |= {layout for _, _, layout in rules_affixes.MODULE_LAYOUTS}
    assert layouts <= set(LAYOUTS)
    slots = {row.slot for row in rules_affixes.PREFIXES if row.slot} - {"denoiser", "vae", "embedding"}
    assert slots <= set(SLOT_TARGETS)
    assert set(SLOT_TARGETS.values()) <= set(TARGETS)
    assert {row.kind for row in rules_kinds.STRAYS} <= set(KINDS)


def test_no_brace_groups_are_left_open() -> None:
    for row in rules.ARCHITECTURES:
        for pattern in (*row.modules, *row.requires, *(width.modules for width in row.widths)):
            for choice in expand(pattern):
                assert "{" not in choice
                assert "}" not in choice
                assert ".*" not in choice[:-2]
