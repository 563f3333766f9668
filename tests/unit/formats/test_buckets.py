from __future__ import annotations

from registry.formats.buckets import MAX_BUCKETS, Bucket, BucketInfo, read_buckets, sum_buckets


def info(error: float | None, *buckets: Bucket) -> BucketInfo:
    return BucketInfo(buckets, error, "ss_datasets")


def test_gaps_in_the_numbering_are_kept() -> None:
    found, notes = read_buckets(
        {
            "buckets": {
                "0": {"resolution": [512, 960], "count": 96},
                "7": {"resolution": [960, 512], "count": 97},
            },
            "mean_img_ar_error": 0.5,
        },
        "ss_bucket_info",
    )

    assert found == BucketInfo((Bucket(0, 512, 960, 96), Bucket(7, 960, 512, 97)), 0.5, "ss_bucket_info")
    assert found.commonest() == Bucket(7, 960, 512, 97)
    assert notes == ()


def test_an_error_that_is_not_a_number_is_noted() -> None:
    found, notes = read_buckets({"buckets": {}, "mean_img_ar_error": float("nan")}, "ss_bucket_info")

    assert found is not None
    assert found.mean_img_ar_error is None
    assert found.commonest() is None
    assert [note.slug for note in notes] == ["nan-in-metadata"]


def test_odd_buckets_are_left_out_and_noted() -> None:
    odd = {"x": {"resolution": [1, 1], "count": 1}, "1": 5, "2": {"resolution": "a"}, "3": {"count": -1}}

    found, notes = read_buckets({"buckets": odd}, "ss_bucket_info")

    assert found is not None
    assert found.buckets == ()
    assert [note.slug for note in notes] == ["odd-value"]
    assert read_buckets({"buckets": []}, "ss_bucket_info")[0] is None


def test_the_number_of_buckets_is_bounded() -> None:
    many = {str(index): {"resolution": [1, 1], "count": 1} for index in range(MAX_BUCKETS + 1)}

    found, notes = read_buckets({"buckets": many}, "ss_bucket_info")

    assert found is not None
    assert len(found.buckets) == MAX_BUCKETS
    assert [note.slug for note in notes] == ["shortened"]


def test_buckets_of_several_datasets_add_up_by_resolution() -> None:
    first = info(0.1, Bucket(0, 512, 512, 30), Bucket(4, 512, 768, 10))
    second = info(0.3, Bucket(2, 512, 512, 40))

    found = sum_buckets([first, second], "ss_datasets")

    assert found is not None
    assert found.buckets == (Bucket(0, 512, 512, 70), Bucket(1, 512, 768, 10))
    assert found.mean_img_ar_error is not None
    assert abs(found.mean_img_ar_error - 0.2) < 1e-12


def test_one_dataset_keeps_its_own_numbers() -> None:
    only = info(None, Bucket(3, 512, 512, 30))

    assert sum_buckets([only], "ss_datasets") == only
    assert sum_buckets([], "ss_datasets") is None
