"""What search needs: descriptions that headers give, and searches that are saved under a name."""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and a column; descriptions are filled when the headers are read again."""
    op.create_table(
        "saved_search",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_search")),
        sa.UniqueConstraint("name_key", name=op.f("uq_saved_search_name_key")),
        sqlite_autoincrement=True,
    )
    op.add_column("header", sa.Column("description", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop both, with all searches that were saved."""
    op.drop_column("header", "description")
    op.drop_table("saved_search")
