"""The shop's own pages, one file for each kind of record."""


def includeme(config):
    """Add the shop's own pages to the web app."""
    config.include("poser.web.views.instacart")
