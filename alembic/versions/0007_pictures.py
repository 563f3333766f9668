"""Pictures that are kept, and what each of them is of."""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables; scans and syncs fill them."""
    op.create_table(
        "picture",
        sa.Column("key", _KEY, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("thumbnail", sa.BigInteger(), nullable=True),
        sa.Column("original", sa.SmallInteger(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_picture")),
    )
    op.create_table(
        "picture_of",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("of_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("key", _KEY, nullable=True),
        sa.Column("nsfw_level", sa.SmallInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "of_id", "name", name=op.f("pk_picture_of")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_picture_of_key", "picture_of", ["key"])


def downgrade() -> None:
    """Drop them; the pictures stay in the data folder."""
    op.drop_table("picture_of")
    op.drop_table("picture")
