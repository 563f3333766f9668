"""What a token chooses and how far it reaches: a tool profile, and the highest levels that it is sent."""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_CAPS = ("nsfw_pictures", "nsfw_entries")


def upgrade() -> None:
    """Add the columns; tokens that are there choose nothing and have no limits of their own."""
    op.add_column("token", sa.Column("tool", sa.Text(), nullable=True))
    for name in _CAPS:
        op.add_column("token", sa.Column(name, sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    for name in reversed(("tool", *_CAPS)):
        op.drop_column("token", name)
