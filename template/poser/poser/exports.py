"""Files that the shop sends to others.  They land in ``data/exports``, each with its record."""

import csv

COLUMNS = ["lookup_code", "item_name", "brand_name", "size", "department", "price"]


def export_products_to_instacart(app, session, user=None):
    """Write all products that are for sale into a new file; return its record."""
    model = app.model
    export = model.InstacartProductExport()
    # first of all, since on SQLite the counter needs the database for itself
    export.id = app.next_counter_value(session, "batch_id")
    export.uuid = app.make_uuid()
    export.created_by = user or find_admin(app, session)
    export.set_filename(app.config)

    products = session.query(model.Product).order_by(model.Product.upc)
    rows = [describe(product) for product in products if is_for_sale(product)]

    path = export.filepath(app.config, export.filename, makedirs=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)

    export.record_count = len(rows)
    export.uploaded = False
    session.add(export)
    session.flush()
    return export


def is_for_sale(product):
    """Tell if customers can buy the product."""
    gone = product.deleted or product.discontinued or product.not_for_sale
    return bool(product.regular_price and not gone)


def describe(product):
    """Return the product's row in the file."""
    return {
        "lookup_code": product.upc or product.item_id,
        "item_name": product.description,
        "brand_name": product.brand,
        "size": product.size,
        "department": product.department,
        "price": f"{product.regular_price.price:.2f}",
    }


def find_admin(app, session):
    """Return the admin that a nightly run stands for: the first by name."""
    admins = app.get_auth_handler().get_role_administrator(session).users
    return min((user for user in admins if user.active), key=lambda user: user.username)


def main():
    """Make the file for Instacart, as an overnight task does: python app/poser/poser/exports.py."""
    from rattail.config import make_config

    app = make_config("app/cron.conf").get_app()
    with app.short_session(commit=True) as session:
        export_products_to_instacart(app, session)


if __name__ == "__main__":
    main()
