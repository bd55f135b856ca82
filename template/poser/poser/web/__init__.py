"""The shop's part of the web app, which Tailbone loads by ``pyramid.includes`` in web.conf."""

VIEWS = [
    # Rattail's pages that bare Tailbone leaves out
    "tailbone.views.essentials",
    "tailbone.views.typical",
    "tailbone.views.batch.vendorinvoice",
    "tailbone.views.poser",
    # what App Info links to
    "wuttaweb.views.views",
    "wuttaweb.views.tables",
    "wuttaweb.views.alembic",
    # the shop's own pages
    "poser.web.views",
]


def includeme(config):
    """Add the shop's part to the web app."""
    # Tailbone is not ready for views yet: add them first thing when it is
    config.action(None, include_views, (config,), order=-100)


def include_views(config):
    """Add all pages."""
    for view in VIEWS:
        config.include(view)
