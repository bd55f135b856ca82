"""The menu of the web app.

An entry names a route of a view, and the permission that a user needs to see it.
"""

from tailbone.menus import TailboneMenuHandler


class ShopMenuHandler(TailboneMenuHandler):
    """Tailbone's menu, and what the shop added."""

    def make_menus(self, request, **kwargs):
        """Return all menus, from left to right."""
        return [
            self.make_custorders_menu(request),
            self.make_people_menu(request),
            self.make_products_menu(request),
            self.make_vendors_menu(request),
            self.make_exports_menu(),
            *self.make_integration_menus(request),
            self.make_reports_menu(request, include_poser=True, include_worksheets=True),
            self.make_batches_menu(request),
            self.make_admin_menu(request, include_label_settings=True),
            self.make_developer_menu(),
        ]

    def make_vendors_menu(self, request, **kwargs):
        """Return Tailbone's Vendors menu, with the invoices that it leaves out."""
        menu = super().make_vendors_menu(request, **kwargs)
        menu["items"].append(entry("Invoice Batches", "vendorinvoices"))
        return menu

    def make_exports_menu(self):
        """Return the menu of files that the shop sends to others."""
        return {
            "title": "Exports",
            "type": "menu",
            "items": [entry("Instacart Products", "poser.instacart_product_exports")],
        }

    def make_developer_menu(self):
        """Return the menu for those who build on this app."""
        return {
            "title": "Developer",
            "type": "menu",
            "items": [
                entry("Generate Project", "generated_projects.create"),
                entry("Poser Views", "poser_views"),
                entry("Tables", "app_tables"),
                entry("Database Versions", "alembic.dashboard"),
            ],
        }


def entry(title, route):
    """Return a menu entry; a route of a list needs the permission to list."""
    action = route.rpartition(".")[2]
    perm = route if action in ("create", "dashboard") else f"{route}.list"
    return {"title": title, "route": route, "perm": perm}
