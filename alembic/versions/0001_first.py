"""The first schema: machines, roots, files, headers, loras, hashes, problems, changes, tokens, jobs."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "change",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("lora_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_change")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_change_at", "change", ["at"], unique=False)
    op.create_table(
        "header",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("derived_version", sa.Integer(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("tensors", sa.Integer(), nullable=False),
        sa.Column("metadata_packed", sa.LargeBinary(), nullable=False),
        sa.Column("a1111", sa.LargeBinary(), nullable=False),
        sa.Column("a1111_crc", sa.BigInteger(), nullable=False),
        sa.Column("a1111_size", sa.BigInteger(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=True),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("alpha", sa.Float(precision=53), nullable=True),
        sa.Column("precision", sa.Text(), nullable=True),
        sa.Column("key_layout", sa.Text(), nullable=True),
        sa.Column("identification", sa.LargeBinary(), nullable=False),
        sa.Column("trainer", sa.Text(), nullable=True),
        sa.Column("output_name", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("base_model_version", sa.Text(), nullable=True),
        sa.Column("sd_model_name", sa.Text(), nullable=True),
        sa.Column("sd_model_hash", sa.Text(), nullable=True),
        sa.Column("new_sd_model_hash", sa.Text(), nullable=True),
        sa.Column("network_module", sa.Text(), nullable=True),
        sa.Column("network_dim", sa.BigInteger(), nullable=True),
        sa.Column("network_alpha", sa.Float(precision=53), nullable=True),
        sa.Column("optimizer", sa.Text(), nullable=True),
        sa.Column("learning_rate", sa.Float(precision=53), nullable=True),
        sa.Column("unet_lr", sa.Float(precision=53), nullable=True),
        sa.Column("text_encoder_lr", sa.Float(precision=53), nullable=True),
        sa.Column("lr_scheduler", sa.Text(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("num_epochs", sa.BigInteger(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=True),
        sa.Column("max_train_steps", sa.BigInteger(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("num_train_images", sa.BigInteger(), nullable=True),
        sa.Column("num_reg_images", sa.BigInteger(), nullable=True),
        sa.Column("repeats", sa.BigInteger(), nullable=True),
        sa.Column("batch_size", sa.BigInteger(), nullable=True),
        sa.Column("resolution_width", sa.BigInteger(), nullable=True),
        sa.Column("resolution_height", sa.BigInteger(), nullable=True),
        sa.Column("bucket_width", sa.BigInteger(), nullable=True),
        sa.Column("bucket_height", sa.BigInteger(), nullable=True),
        sa.Column("clip_skip", sa.BigInteger(), nullable=True),
        sa.Column("noise_offset", sa.Float(precision=53), nullable=True),
        sa.Column("min_snr_gamma", sa.Float(precision=53), nullable=True),
        sa.Column("mixed_precision", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("triggers", sa.LargeBinary(), nullable=False),
        sa.Column("tags", sa.LargeBinary(), nullable=False),
        sa.Column("tag_count", sa.Integer(), nullable=False),
        sa.Column("notes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_header")),
        sa.UniqueConstraint("digest", name=op.f("uq_header_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancel", sa.SmallInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("heartbeat", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_state_kind_key", "job", ["state", "kind", "key"], unique=False)
    op.create_table(
        "lora_redirect",
        sa.Column("old_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("new_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("old_id", name=op.f("pk_lora_redirect")),
    )
    op.create_index(op.f("ix_lora_redirect_new_id"), "lora_redirect", ["new_id"], unique=False)
    op.create_table(
        "machine",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine")),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "tag",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("name", name=op.f("uq_tag_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "token",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_token_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "lora",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("identity", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("header_id", sa.BigInteger(), nullable=True),
        sa.Column("primary_file_id", sa.BigInteger(), nullable=True),
        sa.Column("files_present", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("replaces_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["header_id"], ["header.id"], name=op.f("fk_lora_header_id_header")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lora")),
        sa.UniqueConstraint("identity", name=op.f("uq_lora_identity")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lora_first_seen_id", "lora", ["first_seen", "id"], unique=False)
    op.create_index(op.f("ix_lora_header_id"), "lora", ["header_id"], unique=False)
    op.create_index("ix_lora_mtime_ns_id", "lora", ["mtime_ns", "id"], unique=False)
    op.create_index("ix_lora_name_key_id", "lora", ["name_key", "id"], unique=False)
    op.create_index(
        "ix_lora_replaces_id",
        "lora",
        ["replaces_id"],
        unique=False,
        sqlite_where=sa.text("replaces_id IS NOT NULL"),
        postgresql_where=sa.text("replaces_id IS NOT NULL"),
    )
    op.create_index("ix_lora_size_id", "lora", ["size", "id"], unique=False)
    op.create_table(
        "root",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("machine_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("writable", sa.SmallInteger(), nullable=False),
        sa.Column("private", sa.SmallInteger(), nullable=False),
        sa.Column("poll", sa.Text(), nullable=False),
        sa.Column("follow_out", sa.SmallInteger(), nullable=False),
        sa.Column("pickles", sa.SmallInteger(), nullable=False),
        sa.Column("ignore_inode", sa.SmallInteger(), nullable=False),
        sa.Column("header_readers", sa.Integer(), nullable=False),
        sa.Column("hash_readers", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_since", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("scanned_at", sa.BigInteger(), nullable=True),
        sa.Column("scan_ms", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_root_machine_id_machine")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_root")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "file",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("path_raw", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("ext", sa.Text(), nullable=False),
        sa.Column("a1111_key", sa.LargeBinary(), nullable=False),
        sa.Column("hidden", sa.SmallInteger(), nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("nlink", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("placeholder", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_since", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("derived_version", sa.Integer(), nullable=False),
        sa.Column("quick_key", sa.LargeBinary(), nullable=True),
        sa.Column("tail", sa.LargeBinary(), nullable=True),
        sa.Column("data_size", sa.BigInteger(), nullable=True),
        sa.Column("header_id", sa.BigInteger(), nullable=True),
        sa.Column("lora_id", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("hash_state", sa.Text(), nullable=False),
        sa.Column("hash_priority", sa.Integer(), nullable=False),
        sa.Column("hashed_at", sa.BigInteger(), nullable=True),
        sa.Column("verified", sa.SmallInteger(), nullable=False),
        sa.Column("claims", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["header_id"], ["header.id"], name=op.f("fk_file_header_id_header")),
        sa.ForeignKeyConstraint(["lora_id"], ["lora.id"], name=op.f("fk_file_lora_id_lora")),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_file_root_id_root")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file")),
        sa.UniqueConstraint("root_id", "path_raw", name=op.f("uq_file_root_id_path_raw")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_file_hash_queue",
        "file",
        ["hash_state", "state", "hash_priority", "size", "root_id", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_file_header_id"), "file", ["header_id"], unique=False)
    op.create_index("ix_file_inode_size", "file", ["inode", "size"], unique=False)
    op.create_index(op.f("ix_file_lora_id"), "file", ["lora_id"], unique=False)
    op.create_index("ix_file_name_key", "file", ["name_key"], unique=False)
    op.create_index("ix_file_quick_key", "file", ["quick_key"], unique=False)
    op.create_index("ix_file_state_a1111_key", "file", ["root_id", "state", "a1111_key"], unique=False)
    op.create_table(
        "mount",
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("machine_id", sa.Text(), nullable=False),
        sa.Column("path_raw", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_mount_machine_id_machine")),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_mount_root_id_root")),
        sa.PrimaryKeyConstraint("root_id", "machine_id", name=op.f("pk_mount")),
    )
    op.create_table(
        "companion",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("name_raw", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_companion_file_id_file")),
        sa.PrimaryKeyConstraint("file_id", "name_raw", name=op.f("pk_companion")),
    )
    op.create_table(
        "digest",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_digest_file_id_file")),
        sa.PrimaryKeyConstraint("file_id", "kind", name=op.f("pk_digest")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_digest_value_kind_file_id", "digest", ["value", "kind", "file_id"], unique=False)
    op.create_table(
        "problem",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("scope", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("root_id", sa.BigInteger(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("slug", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_problem_file_id_file")),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_problem_root_id_root")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem")),
        sa.UniqueConstraint("scope", "slug", name=op.f("uq_problem_scope_slug")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_problem_file_id"), "problem", ["file_id"], unique=False)
    op.create_index(op.f("ix_problem_root_id"), "problem", ["root_id"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_index(op.f("ix_problem_root_id"), table_name="problem")
    op.drop_index(op.f("ix_problem_file_id"), table_name="problem")
    op.drop_table("problem")
    op.drop_index("ix_digest_value_kind_file_id", table_name="digest")
    op.drop_table("digest")
    op.drop_table("companion")
    op.drop_table("mount")
    op.drop_index("ix_file_state_a1111_key", table_name="file")
    op.drop_index("ix_file_quick_key", table_name="file")
    op.drop_index("ix_file_name_key", table_name="file")
    op.drop_index(op.f("ix_file_lora_id"), table_name="file")
    op.drop_index("ix_file_inode_size", table_name="file")
    op.drop_index(op.f("ix_file_header_id"), table_name="file")
    op.drop_index("ix_file_hash_queue", table_name="file")
    op.drop_table("file")
    op.drop_table("root")
    op.drop_index("ix_lora_size_id", table_name="lora")
    op.drop_index(
        "ix_lora_replaces_id",
        table_name="lora",
        sqlite_where=sa.text("replaces_id IS NOT NULL"),
        postgresql_where=sa.text("replaces_id IS NOT NULL"),
    )
    op.drop_index("ix_lora_name_key_id", table_name="lora")
    op.drop_index("ix_lora_mtime_ns_id", table_name="lora")
    op.drop_index(op.f("ix_lora_header_id"), table_name="lora")
    op.drop_index("ix_lora_first_seen_id", table_name="lora")
    op.drop_table("lora")
    op.drop_table("token")
    op.drop_table("tag")
    op.drop_table("setting")
    op.drop_table("machine")
    op.drop_index(op.f("ix_lora_redirect_new_id"), table_name="lora_redirect")
    op.drop_table("lora_redirect")
    op.drop_index("ix_job_state_kind_key", table_name="job")
    op.drop_table("job")
    op.drop_table("header")
    op.drop_index("ix_change_at", table_name="change")
    op.drop_table("change")
