"""add instacart_product_export

Revision ID: 1a57ac417e01
"""

import sqlalchemy as sa
from alembic import op

revision = "1a57ac417e01"
down_revision = None
# the shop's own line of revisions; go on with: alembic revision --head poser@head ...
branch_labels = ("poser",)
# Rattail's first revision, which makes the table of users
depends_on = "1515aa76b64a"


def upgrade():
    """Make the table."""
    op.create_table(
        "instacart_product_export",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("created_by_uuid", sa.String(length=32), nullable=False),
        sa.Column("record_count", sa.Integer(), nullable=True),
        sa.Column("filename", sa.String(length=255), nullable=True),
        sa.Column("uploaded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name="instacart_product_export_pkey"),
        sa.ForeignKeyConstraint(["created_by_uuid"], ["user.uuid"], name="instacart_product_export_fk_created_by"),
    )


def downgrade():
    """Remove the table."""
    op.drop_table("instacart_product_export")
