from __future__ import annotations

import json
from dataclasses import fields

import pytest

from registry.formats.buckets import Bucket, BucketInfo
from registry.formats.columns import Columns
from registry.formats.datasets import MAX_FOLDERS, DatasetDir, folder_name
from registry.formats.kohya import SCALARS, STRUCTURED
from registry.formats.training import MAX_NOTES, Training, read_training, training_json
from registry.views import Note, TagCount

SCALAR_EXAMPLES = {
    "ss_session_id": ("1095897239", 1095897239),
    "ss_training_started_at": ("1685081359.770927", 1685081359.770927),
    "ss_output_name": ("None", None),
    "ss_training_comment": ("a, b", "a, b"),
    "ss_sd_scripts_commit_hash": ("(unknown)", "(unknown)"),
    "ss_num_train_images": ("690", 690),
    "ss_epoch": ("39", 39),
    "ss_optimizer": ("lion_pytorch.Lion(weight_decay=0.1)", "lion_pytorch.Lion(weight_decay=0.1)"),
    "ss_learning_rate": ("5.625e-05", 5.625e-05),
    "ss_text_encoder_lr": ("[5e-05, 5e-05]", (5e-05, 5e-05)),
    "ss_lr_warmup_steps": ("0.1", 0.1),
    "ss_gradient_checkpointing": ("False", False),
    "ss_mixed_precision": ("no", "no"),
    "ss_network_dim": ("Dynamic", "Dynamic"),
    "ss_network_alpha": ("16.0", 16.0),
    "ss_network_dropout": ("None", None),
    "ss_v2": ("True", True),
    "ss_clip_skip": ("None", None),
    "ss_noise_offset": ("0.03", 0.03),
    "ss_multires_noise_iterations": ("6", 6),
    "ss_face_crop_aug_range": ("(1.0, 3.0)", (1.0, 3.0)),
    "ss_zero_terminal_snr": ("False", False),
    "ss_resolution": ("(768, 512)", (768, 512)),
    "ss_enable_bucket": ("True", True),
    "ss_discrete_flow_shift": ("3.1582", 3.1582),
    "ss_num_train_items": ("20", 20),
}


def test_scalars_are_typed_by_key() -> None:
    found = read_training({key: written for key, (written, _) in SCALAR_EXAMPLES.items()})

    assert found.values == {key[3:]: value for key, (_, value) in SCALAR_EXAMPLES.items()}
    assert found.notes == ()


@pytest.mark.parametrize("key", sorted(SCALARS))
def test_every_known_key_takes_none_and_survives_nonsense(key: str) -> None:
    name = SCALARS[key][0]

    assert read_training({key: "None"}).values == {name: None}
    for nonsense in ("\0", "{" * 5000, "9" * 9999, "\ud800", "None ", "[nan]"):
        found = read_training({key: nonsense})
        assert name in found.values or [note.slug for note in found.notes] == ["odd-value"]


def test_no_key_is_both_scalar_and_structured() -> None:
    assert not STRUCTURED & set(SCALARS)


def test_unknown_keys_and_absent_values_are_not_made_up() -> None:
    found = read_training({"ss_future_key": "1", "unrelated": "x"})

    assert found == Training()
    assert all(
        getattr(found, name) is None for name, member in vars(Columns).items() if isinstance(member, property)
    )


def test_an_odd_value_is_noted_and_left_out() -> None:
    found = read_training({"ss_epoch": "twelve\x1b", "ss_steps": "5"})

    assert found.values == {"steps": 5}
    assert found.notes[0].slug == "odd-value"
    assert found.notes[0].text == "ss_epoch is 'twelve\\x1b', not a whole number."


def test_the_number_of_notes_is_bounded() -> None:
    assert len(read_training(dict.fromkeys(SCALARS, "[x")).notes) == MAX_NOTES


def test_network_arguments_stay_texts() -> None:
    found = read_training({"ss_network_args": '{"conv_dim": "4", "algo": "loha", "dropout": 0.5, "x": [1]}'})

    assert found.network_args == {"conv_dim": "4", "algo": "loha", "dropout": "0.5"}
    assert [note.slug for note in found.notes] == ["odd-value"]
    assert read_training({"ss_network_args": "null"}) == Training()


def test_single_dataset_form_gives_folders_buckets_and_shares() -> None:
    found = read_training(
        {
            "ss_dataset_dirs": json.dumps(
                {"48_a": {"n_repeats": 48, "img_count": 45}, "2_b": {"n_repeats": 2, "img_count": 5}}
            ),
            "ss_reg_dataset_dirs": '{"1_r": {"n_repeats": 1, "img_count": 9}}',
            "ss_tag_frequency": '{"48_a": {"x": 45}, "2_b": {"x": 5, "y": 1}}',
            "ss_bucket_info": '{"buckets": {"3": {"resolution": [512, 960], "count": 96}},'
            ' "mean_img_ar_error": NaN}',
            "ss_batch_size_per_device": "4",
        }
    )

    assert found.dataset_dirs == (DatasetDir("48_a", 48, 45), DatasetDir("2_b", 2, 5))
    assert found.reg_dataset_dirs == (DatasetDir("1_r", 1, 9),)
    assert found.tags == (TagCount("x", 50, 1.0), TagCount("y", 1, 0.02))
    assert found.buckets is not None
    assert found.buckets.buckets == (Bucket(3, 512, 960, 96),)
    assert found.buckets.source == "ss_bucket_info"
    assert [note.slug for note in found.notes] == ["nan-in-metadata"]
    assert (found.repeats, found.batch_size) == (48, 4)


@pytest.mark.parametrize("written", ["null", "None", "", "{}"])
def test_training_without_buckets_is_not_odd(written: str) -> None:
    assert read_training({"ss_bucket_info": written}) == Training()


def dataset(width: int, folder: str, count: int) -> dict[str, object]:
    return {
        "is_dreambooth": True,
        "batch_size_per_device": 2,
        "num_train_images": count,
        "num_reg_images": 0,
        "resolution": [width, width],
        "tag_frequency": {folder: {"x": 3}},
        "bucket_info": {
            "buckets": {"0": {"resolution": [width, width], "count": count}},
            "mean_img_ar_error": 0.0,
        },
        "subsets": [{"image_dir": f"/data/{folder}", "img_count": 6, "num_repeats": 4, "is_reg": False}],
    }


def test_dataset_config_form_gives_what_the_top_level_lacks() -> None:
    found = read_training({"ss_datasets": json.dumps([dataset(512, "a", 24), dataset(768, "b", 30)])})

    assert found.buckets is not None
    assert found.buckets.buckets == (Bucket(0, 512, 512, 24), Bucket(1, 768, 768, 30))
    assert found.buckets.source == "ss_datasets"
    assert found.tags == (TagCount("x", 6, 0.5),)
    assert (found.resolution, found.batch_size, found.repeats) == ((768, 768), 2, 4)
    assert found.num_train_images == 54
    assert found.notes == ()


def test_a_folder_used_twice_is_noted_and_its_tags_are_counted_once() -> None:
    found = read_training({"ss_datasets": json.dumps([dataset(512, "a", 24), dataset(768, "a", 30)])})

    assert found.tags == (TagCount("x", 3, 0.5),)
    assert [note.slug for note in found.notes] == ["shared-folder"]


@pytest.mark.parametrize("written", ["{}", "null", "not json", "[1]"])
def test_tags_of_datasets_are_not_lost_where_the_top_level_has_none(written: str) -> None:
    metadata = {"ss_datasets": json.dumps([dataset(512, "a", 24)]), "ss_tag_frequency": written}

    assert read_training(metadata).tags == (TagCount("x", 3, 0.5),)
    assert read_training({**metadata, "ss_tag_frequency": '{"a": {"y": 1}}'}).tags[0].tag == "y"


@pytest.mark.parametrize("written", ["{}", "null", "not json", '{"buckets": [1]}', '{"buckets": {"0": 5}}'])
def test_buckets_of_datasets_are_not_lost_where_the_top_level_has_none(written: str) -> None:
    found = read_training({"ss_datasets": json.dumps([dataset(512, "a", 24)]), "ss_bucket_info": written})

    assert found.buckets is not None
    assert found.buckets.buckets == (Bucket(0, 512, 512, 24),)
    assert found.buckets.source == "ss_datasets"


def test_an_empty_bucket_info_is_kept_where_no_dataset_has_more() -> None:
    found = read_training({"ss_bucket_info": '{"buckets": {}, "mean_img_ar_error": 0.5}'})

    assert found.buckets == BucketInfo((), 0.5, "ss_bucket_info")


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"resolution": "1024,768"}, "resolution of ss_datasets is not a width and a height."),
        ({"num_train_images": "x"}, "num_train_images of ss_datasets is not a whole number."),
        ({"batch_size_per_device": [1]}, "batch_size_per_device of ss_datasets is not a whole number."),
        ({"subsets": {"a": 1}}, "subsets of ss_datasets is not a list of objects."),
        ({"subsets": [{}, 5]}, "subsets of ss_datasets is not a list of objects."),
        ({"bucket_info": []}, "bucket_info of ss_datasets is not an object."),
        ({"tag_frequency": "a"}, "tag_frequency of ss_datasets is not an object."),
        ({"image_directory": 5}, "image_directory of ss_datasets is not a path."),
        ({"subsets": [{"img_count": "5"}]}, "img_count of ss_datasets is not a whole number."),
        ({"subsets": [{"is_reg": "True"}]}, "is_reg of ss_datasets is not true or false."),
        ({"subsets": [{"class_tokens": ["a"]}]}, "class_tokens of ss_datasets is not a text."),
    ],
)
def test_what_cannot_be_read_of_a_dataset_is_noted_once(odd: dict[str, object], expected: str) -> None:
    found = read_training({"ss_datasets": json.dumps([odd, odd])})

    assert found.notes == (Note("odd-value", expected),)


def test_all_that_cannot_be_read_of_a_dataset_is_noted() -> None:
    odd = {"resolution": "1024,768", "num_train_images": "x", "subsets": {"a": 1}, "bucket_info": []}

    assert len(read_training({"ss_datasets": json.dumps([odd])}).notes) == 4


def test_what_a_dataset_says_is_null_is_not_odd() -> None:
    keys = ("resolution", "num_train_images", "subsets", "bucket_info", "tag_frequency", "image_directory")

    assert read_training({"ss_datasets": json.dumps([dict.fromkeys(keys)])}).notes == ()


def test_the_number_of_subsets_is_bounded() -> None:
    found = read_training({"ss_datasets": json.dumps([{"subsets": [{}] * (MAX_FOLDERS + 1)}])})

    assert len(found.datasets[0].subsets) == MAX_FOLDERS
    assert [note.slug for note in found.notes] == ["shortened"]


def test_musubi_datasets_are_read() -> None:
    entry = {
        "resolution": [960, 544],
        "caption_extension": ".txt",
        "batch_size_per_device": 1,
        "num_repeats": 3,
        "video_directory": "C:\\clips\\neo",
        "target_frames": [1, 25],
    }

    found = read_training({"ss_num_train_items": "20", "ss_datasets": json.dumps([entry])})

    assert found.trainer == "musubi"
    assert (found.num_train_images, found.repeats, found.resolution) == (20, 3, (960, 544))
    assert found.datasets[0].is_video
    assert found.datasets[0].folder == "neo"
    assert found.datasets[0].settings["target_frames"] == [1, 25]
    assert found.tags == ()
    assert found.notes == ()


@pytest.mark.parametrize("path", ["/a/b/neo", "C:\\a\\neo\\", "neo", "a/b\\neo//"])
def test_the_folder_of_a_path_of_any_system_is_its_last_part(path: str) -> None:
    assert folder_name(path) == "neo"


def test_ai_toolkit_counts_fill_gaps_only() -> None:
    info = {"training_info": '{"step": 1000, "epoch": 8}'}

    assert (read_training(info).steps, read_training(info).epoch) == (1000, 8)
    assert read_training({**info, "ss_steps": "7", "ss_epoch": "None"}).values == {"steps": 7, "epoch": 8}


def test_simpletuner_peft_onetrainer_and_cloneofsimo_fill_gaps() -> None:
    simple = read_training({"modelspec.implementation": "diffusers", "global_step": "500"})
    peft = read_training({"lora_adapter_metadata": '{"transformer.r": 16, "transformer.lora_alpha": 8}'})
    config = '{"learning_rate": 3e-4, "lora_rank": 32, "lora_alpha": 1.0, "epochs": 20, "batch_size": 2}'
    one = read_training({"ot_config": config})
    clone = read_training({"unet:0:rank": "4", "unet:1:rank": "4", "text_encoder:0:rank": "8"})

    assert (simple.trainer, simple.steps) == ("simpletuner", 500)
    assert (peft.trainer, peft.network_dim, peft.network_alpha) == ("diffusers", 16, 8.0)
    assert (one.trainer, one.learning_rate, one.network_dim, one.num_epochs) == ("onetrainer", 3e-4, 32, 20)
    assert (clone.trainer, clone.network_dim) == ("cloneofsimo", 4)


@pytest.mark.parametrize(
    "metadata",
    [
        {"training_info": "[1]"},
        {"training_info": '{"step": "x", "epoch": NaN}'},
        {"ot_config": "{" * 9000},
        {"global_step": "many"},
        {"lora_adapter_metadata": '{"r": {}, "a.r": []}'},
        {"unet:0:rank": "x" * 100},
        {"unet:0:rank": "9" * 9000},
        {"ss_datasets": "5"},
        {"ss_datasets": "[" * 5000},
        {"ss_datasets": "[" * 900 + "]" * 900},
        {
            "ss_datasets": json.dumps(
                [{"deep": json.loads("[" * 500 + "]" * 500), "subsets": [1, {"image_dir": 5}]}]
            )
        },
        {"ss_datasets": '[null, {"resolution": "x", "bucket_info": {"buckets": 5}, "tag_frequency": []}]'},
        {"ss_network_args": '{"a": ' + "[" * 900 + "]" * 900 + "}"},
        {"ss_tag_frequency": "not json"},
        {"ss_tag_frequency": '{"a": "b", "c": {"\\ud800": 1}}'},
        {"ss_dataset_dirs": '{"a": 1, "b": {"n_repeats": "x"}}'},
        {"ss_bucket_info": '{"buckets": {"0": {"resolution": [1e999, 2], "count": 1}}}'},
        {"ssmd_cover_images": "oops"},
        {"modelspec.tags": "\ud800,\0"},
    ],
)
def test_hostile_values_never_raise(metadata: dict[str, str]) -> None:
    found = read_training(metadata)

    json.dumps(training_json(found), allow_nan=False)
    assert all(note.text.isascii() for note in found.notes)


def test_cover_images_are_counted_not_kept() -> None:
    found = read_training({"ssmd_cover_images": '["AAAA", "BBBB"]', "ssmd_rating": "4", "ssmd_tags": "a,b"})

    assert found.addnet == {"ssmd_cover_images": "2", "ssmd_rating": "4", "ssmd_tags": "a,b"}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("bitsandbytes.optim.adamw.AdamW8bit", "AdamW8bit"),
        ("lion_pytorch.lion_pytorch.Lion(weight_decay=0.1)", "Lion"),
        ("prodigyopt.prodigy.Prodigy(betas=(0.9, 0.99),d0=1e-06)", "Prodigy"),
        ("adamw", "adamw"),
        ("None", None),
        ("", None),
    ],
)
def test_the_optimiser_is_named_without_module_and_arguments(written: str, name: str | None) -> None:
    assert read_training({"ss_optimizer": written}).optimizer == name


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, None),
        ({"modelspec.prediction_type": "v"}, True),
        ({"modelspec.prediction_type": "epsilon"}, False),
        ({"ss_base_model_version": "sd_v2_v"}, True),
        ({"ss_base_model_version": "sd_v1"}, None),
        ({"ss_v_parameterization": "False", "modelspec.prediction_type": "v"}, False),
    ],
)
def test_velocity_prediction_is_told_by_several_keys(metadata: dict[str, str], expected: bool | None) -> None:  # noqa: FBT001 - a table of expectations
    assert read_training(metadata).v_parameterization is expected


def test_columns_read_what_kohya_wrote() -> None:
    found = read_training(
        {
            "ss_network_dim": "128",
            "ss_network_alpha": "0.0",
            "ss_unet_lr": "0.0001",
            "ss_text_encoder_lr": "[5e-05, 1e-05]",
            "ss_training_started_at": "1676884936",
            "ss_resolution": "512",
            "modelspec.encoder_layer": "2",
            "ss_training_comment": "None",
        }
    )

    assert (found.network_dim, found.network_alpha) == (128, 0.0)
    assert (found.unet_lr, found.text_encoder_lr) == (0.0001, (5e-05, 1e-05))
    assert (found.started_at, found.resolution, found.clip_skip, found.comment) == (
        1676884936.0,
        (512, 512),
        2,
        None,
    )


def test_json_has_flat_scalars_and_named_parts() -> None:
    found = training_json(
        read_training(
            {
                "ss_resolution": "(768, 512)",
                "ss_clip_skip": "None",
                "ss_tag_frequency": '{"1_a": {"x": 1}}',
                "ss_dataset_dirs": '{"1_a": {"n_repeats": 1, "img_count": 2}}',
                "ss_bucket_info": '{"buckets": {"0": {"resolution": [512, 960], "count": 9}}}',
                "ss_datasets": '[{"resolution": 512, "scale": NaN, "subsets": [{"image_dir": "/x/1_a"}]}]',
                "modelspec.title": "T",
            }
        )
    )

    assert found["resolution"] == [768, 512]
    assert found["clip_skip"] is None
    assert found["tags"] == [{"tag": "x", "count": 1, "share": 0.5}]
    assert found["dataset_dirs"] == [{"name": "1_a", "n_repeats": 1, "img_count": 2}]
    assert found["buckets"] == {
        "buckets": [{"index": 0, "width": 512, "height": 960, "count": 9}],
        "mean_img_ar_error": None,
        "source": "ss_bucket_info",
    }
    assert found["datasets"] == [
        {"resolution": [512, 512], "scale": None, "subsets": [{"image_dir": "/x/1_a"}]}
    ]
    assert found["modelspec"] == {"title": "T"}
    parts = {each.name for each in fields(Training)} - {"values", "tag_folders"}
    assert parts <= set(found)
