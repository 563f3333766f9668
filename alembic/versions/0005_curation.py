"""What the user notes of loras, what it was before, and corrections that lists filter on."""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_CORRECTIONS = ("set_kind", "set_architecture", "set_base_model", "set_adapter")


def upgrade() -> None:
    """Add the tables and columns; nothing is noted yet."""
    for name in _CORRECTIONS:
        op.add_column("lora", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "curation",
        sa.Column("lora_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["lora_id"], ["lora.id"], name=op.f("fk_curation_lora_id_lora")),
        sa.PrimaryKeyConstraint("lora_id", "field", name=op.f("pk_curation")),
    )
    op.create_table(
        "curation_history",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("lora_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("old", sa.LargeBinary(), nullable=True),
        sa.Column("new", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lora_id"], ["lora.id"], name=op.f("fk_curation_history_lora_id_lora")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_curation_history")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_curation_history_lora_id_id", "curation_history", ["lora_id", "id"])
    op.create_index("ix_curation_history_batch", "curation_history", ["batch"])


def downgrade() -> None:
    """Drop them, with all that the user noted."""
    op.drop_table("curation_history")
    op.drop_table("curation")
    for name in reversed(_CORRECTIONS):
        op.drop_column("lora", name)
