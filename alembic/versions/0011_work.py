"""Jobs that are handed out in pieces, what happened during them, and pictures that were drawn."""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIMES = ("ends_at", "webhook_at")
TEXTS = ("called", "machine", "slug", "webhook", "webhook_error")


def upgrade() -> None:
    """Add them; jobs that there are have no pieces."""
    for name in TEXTS:
        op.add_column("job", sa.Column(name, sa.Text(), nullable=True))
    for name in TIMES:
        op.add_column("job", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("webhook_tries", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "job_piece",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("fits", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_piece_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "place", name=op.f("pk_job_piece")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_piece_state", "job_piece", ["state", "job_id", "place"])
    op.create_index("ix_job_piece_fits", "job_piece", ["state", "fits", "job_id", "place"])
    op.create_table(
        "job_line",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_line_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_line")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_line_job_id", "job_line", ["job_id"])
    op.create_table(
        "drawn",
        sa.Column("key", KEY, nullable=False),
        sa.Column("picture", KEY, nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=True),
        sa.Column("drawn_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_drawn")),
    )


def downgrade() -> None:
    """Drop them; what was drawn can be drawn again."""
    op.drop_table("drawn")
    op.drop_table("job_line")
    op.drop_table("job_piece")
    op.drop_column("job", "webhook_tries")
    for name in (*TEXTS, *TIMES):
        op.drop_column("job", name)
