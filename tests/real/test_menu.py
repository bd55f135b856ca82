"""No entry of the menu leads an admin to an error."""

import pytest
from real.apps import ADMIN
from real.menu_walk import walk

MUST_BE_THERE = {
    "tailbone": [
        "/batch/inventory/",
        "/vendors/catalogs/",
        "/vendors/invoices/",
        "/instacart/product-exports/",
        "/reports/generated/",
        "/generated-projects/new",
        "/luigi/",
        "/upgrades/",
        "/users/",
        "/roles/",
        "/appinfo/",
    ],
    "wuttaweb": ["/appinfo/", "/users/", "/roles/", "/upgrades/", "/people/", "/email/settings/"],
}


# on PostgreSQL, `nox -s apps` walks them
@pytest.mark.parametrize(("kind", "least"), [("tailbone", 120), ("wuttaweb", 20)])
def test_every_entry_answers(app_of, kind, least):
    with app_of(kind).serve() as web:
        web.login(*ADMIN)
        web.become_root()
        found = walk(web)
    assert {path: status for path, status in found.items() if status != 200} == {}
    assert len(found) >= least
    assert set(MUST_BE_THERE[kind]) <= found.keys()
