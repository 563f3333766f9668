"""What we wrote into the sidecars of other tools, and the bytes that sidecars were read from."""

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column; nothing is written yet, and what is read again fills the column."""
    op.add_column("sidecar", sa.Column("sha256", sa.LargeBinary(), nullable=True))
    op.create_table(
        "written",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("root_id", sa.BigInteger(), nullable=False),
        sa.Column("path_raw", sa.LargeBinary(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("ours", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["file.id"], name=op.f("fk_written_file_id_file")),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_written_root_id_root")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_written")),
        sa.UniqueConstraint("file_id", "family", name=op.f("uq_written_file_id_family")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_written_root_id_path_raw", "written", ["root_id", "path_raw"])


def downgrade() -> None:
    """Drop them; what was written stays where it lies."""
    op.drop_table("written")
    op.drop_column("sidecar", "sha256")
