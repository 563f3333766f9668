"""Notes that came from elsewhere before the files they are about."""

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table; nothing waits yet."""
    op.create_table(
        "note_waiting",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("identity", _KEY, nullable=True),
        sa.Column("quick_key", sa.LargeBinary(), nullable=True),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note_waiting")),
        sa.UniqueConstraint("digest", name=op.f("uq_note_waiting_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_note_waiting_identity", "note_waiting", ["identity"])
    op.create_index("ix_note_waiting_quick_key", "note_waiting", ["quick_key"])


def downgrade() -> None:
    """Drop it, with all that waits."""
    op.drop_table("note_waiting")
