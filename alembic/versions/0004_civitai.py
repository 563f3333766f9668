"""What Civitai answered: models, versions, their hashes, and what asking for each file came to."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables; a sync fills them."""
    op.create_table(
        "remote_model",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.Column("newest_at", sa.BigInteger(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_model")),
    )
    op.create_table(
        "remote_version",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("base_model", sa.Text(), nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("early_until", sa.BigInteger(), nullable=True),
        sa.Column("listed", sa.SmallInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.Column("images", sa.LargeBinary(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_version")),
    )
    op.create_index("ix_remote_version_model_id", "remote_version", ["model_id"])
    op.create_table(
        "remote_hash",
        sa.Column("value", _KEY, nullable=False),
        sa.Column("version_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("value", "version_id", name=op.f("pk_remote_hash")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_remote_hash_version_id", "remote_hash", ["version_id"])
    op.create_table(
        "remote_lookup",
        sa.Column("sha256", _KEY, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_remote_lookup")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_remote_lookup_state", "remote_lookup", ["state"])
    op.create_table(
        "remote_match",
        sa.Column("sha256", _KEY, nullable=False),
        sa.Column("version_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("believed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "version_id", name=op.f("pk_remote_match")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_remote_match_version_id", "remote_match", ["version_id"])


def downgrade() -> None:
    """Drop them: all of it can be asked for again."""
    for name in ("remote_match", "remote_lookup", "remote_hash", "remote_version", "remote_model"):
        op.drop_table(name)
