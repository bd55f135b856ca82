"""Repairs of Tailbone, each to be deleted once upstream has its own."""

import tailbone.auth
from pyramid.events import NewRequest
from rattail.poser import PoserHandler
from tailbone.db import Session
from tailbone.grids import Grid
from tailbone.views.members import MemberEquityPaymentView
from tailbone.views.poser.views import PoserViewView
from tailbone.views.products import PendingProductView
from wuttaweb.db import Session as WuttaSession
from wuttaweb.views.tables import AppTableView
from wuttaweb.views.views import MasterViewView


def includeme(config):
    """Apply all repairs to the web app."""
    config.add_subscriber(forget_last_user, NewRequest)
    rattail_config = config.registry.settings["rattail_config"]
    let_unused_logins_end()
    let_own_code_be_listed(rattail_config)
    let_wuttaweb_pages_in(rattail_config)
    let_grid_skip_its_config()
    hide_pages_that_fail()


def forget_last_user(event):
    """Begin each request without the user of the last one.

    After a failed save, its user stays with the thread's database session,
    and with versioning on, later logins in that thread would fail.
    """
    Session().continuum_user = None


def let_unused_logins_end():
    """End a login that nobody used for as long as web.conf says, unless a role of the user says otherwise.

    For a user whose roles name no time, Tailbone stores that there is no limit.
    """
    set_timeout = tailbone.auth.set_session_timeout

    def set_session_timeout(request, timeout):
        if timeout:
            set_timeout(request, timeout)
        else:
            request.session.pop("_timeout", None)

    tailbone.auth.set_session_timeout = set_session_timeout


class ShopPoserHandler(PoserHandler):
    """Finds the own reports and views, in the way that Tailbone's lists of them expect."""

    def normalize_report(self, key, **kwargs):
        return without_error(super().normalize_report(key, **kwargs))

    def normalize_view(self, key):
        # the lists ask by this former name
        return without_error(self.normalize_tailbone_view(key))


def without_error(found):
    """Say "no error" of what was found without one: the lists fail on silence."""
    return found and {"error": None, **found}


def let_own_code_be_listed(rattail_config):
    """Let Tailbone list the own reports and views.

    As the setting ``rattail.poser.handler`` this would hide the setting ``rattail.poser``.
    """
    rattail_config.get_app().handlers["poser"] = ShopPoserHandler(rattail_config)


def let_wuttaweb_pages_in(rattail_config):
    """Let Tailbone show the pages of WuttaWeb to which App Info leads.

    They use a database session of their own, and lack what Tailbone's templates ask for.
    """
    WuttaSession.configure(bind=rattail_config.appdb_engine)
    AppTableView.results_rows_downloadable = False


def let_grid_skip_its_config():
    """Let App Info's Configure page ask a grid for its built-in page size.

    WuttaWeb asks with ``configured=False``, which Tailbone's grid does not know yet.
    """
    ask = Grid.get_pagesize
    Grid.get_pagesize = lambda self, default=None, configured=True: ask(self, default)


def hide_pages_that_fail():
    """Offer no button where Tailbone's page behind it can only fail."""
    # the forms look at the record that is yet to be made
    MemberEquityPaymentView.creatable = False
    PendingProductView.creatable = False
    # the list already shows all there is; the page looks for a table behind the view
    PoserViewView.viewable = False
    # WuttaWeb's pages, which do not fit into Tailbone's templates
    AppTableView.viewable = False
    MasterViewView.creatable = False
