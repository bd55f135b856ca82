"""Pages for the product files made for Instacart."""

from tailbone.views.exports import ExportMasterView

from poser.db.model import InstacartProductExport
from poser.exports import export_products_to_instacart


class InstacartProductExportView(ExportMasterView):
    """Shows all product files, makes a new one, and gives them for download."""

    model_class = InstacartProductExport
    # how Rattail knows an own page: the prefix must stay
    route_prefix = "poser.instacart_product_exports"
    url_prefix = "/instacart/product-exports"

    creatable = True
    downloadable = True
    delete_export_files = True

    grid_columns = ["id", "created", "created_by", "record_count", "filename", "uploaded"]
    form_fields = ["id", "created", "created_by", "record_count", "filename", "uploaded"]

    def configure_form(self, f):
        super().configure_form(f)
        if self.creating:
            # nothing to ask: the file is made from the products as they are
            f.remove("filename", "uploaded")

    def save_create_form(self, form):
        return export_products_to_instacart(self.app, self.Session(), self.request.user)


def includeme(config):
    """Add these pages to the web app."""
    InstacartProductExportView.defaults(config)
