"""All tables of the app: Rattail's, and the shop's own."""

from rattail.db.model import *  # noqa: F403
from rattail.db.model import Base
from rattail.db.model.shopfoo import ShopfooProductExportBase


class InstacartProductExport(ShopfooProductExportBase, Base):
    """One file of products, made for Instacart."""

    __tablename__ = "instacart_product_export"
