"""What the weights of adapters tell, and sketches by which they are compared."""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; files are measured in the background from now on."""
    op.create_table(
        "fingerprint",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("lora_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("layers", sa.Integer(), nullable=False),
        sa.Column("unet_norm", sa.Float(precision=53), nullable=False),
        sa.Column("te_norm", sa.Float(precision=53), nullable=False),
        sa.Column("spectral", sa.Float(precision=53), nullable=True),
        sa.Column("effective_rank", sa.Float(precision=53), nullable=True),
        sa.Column("blocks", sa.LargeBinary(), nullable=False),
        sa.Column("unet", sa.LargeBinary(), nullable=True),
        sa.Column("te", sa.LargeBinary(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["lora_id"], ["lora.id"], name=op.f("fk_fingerprint_lora_id_lora")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fingerprint")),
        sa.UniqueConstraint("lora_id", name=op.f("uq_fingerprint_lora_id")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop the table; what is in it can be measured again."""
    op.drop_table("fingerprint")
