"""The natural order of files as byte keys."""

from __future__ import annotations

from registry.wire.natural import natural_key, sort_key


def test_digits_compare_as_numbers_and_letters_without_case() -> None:
    names = ["X10.safetensors", "x9.safetensors", "x1000.safetensors", "B2", "a3", "x", "x2b", "X2a"]
    assert sorted(names, key=natural_key) == [
        "a3",
        "B2",
        "x",
        "X2a",
        "x2b",
        "x9.safetensors",
        "X10.safetensors",
        "x1000.safetensors",
    ]


def test_leading_zeros_and_case_make_no_difference() -> None:
    assert natural_key("Epoch000012") == natural_key("epoch12")
    assert natural_key("v0") == natural_key("v000")


def test_files_of_a_folder_come_before_those_of_its_sub_folders() -> None:
    places = [
        ("", "z"),
        ("a", "z"),
        ("a", "b10"),
        ("a", "b9"),
        ("a/sub", "a"),
        ("a2", "a"),
        ("b", "a"),
        ("10", "q"),
    ]
    ordered = sorted(places, key=lambda place: sort_key(*place))
    assert ordered == [
        ("", "z"), ("10", "q"), ("a", "b9"), ("a", "b10"), ("a", "z"), ("a2", "a"), ("a/sub", "a"),
        ("b", "a"),
    ]  # fmt: skip


def test_folders_that_are_equal_in_natural_order_do_not_mingle() -> None:
    places = [(folder, name) for name in ("a", "b", "c") for folder in ("Style1", "style01", "STYLE1")]
    folders = [folder for folder, _ in sorted(places, key=lambda place: sort_key(*place))]
    assert [folders[0:3], folders[3:6], folders[6:9]] == [
        [folders[0]] * 3,
        [folders[3]] * 3,
        [folders[6]] * 3,
    ]
    assert len(set(folders)) == 3
