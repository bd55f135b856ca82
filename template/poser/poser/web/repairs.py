"""Small repairs of Tailbone, each to be deleted once upstream has its own.

Seen with Rattail 0.21.3, Tailbone 0.23.2 and WuttaWeb 0.36.2.
"""

import tailbone.auth
from beaker.session import SessionObject
from pyramid.events import NewRequest, NewResponse
from rattail.poser import PoserHandler
from tailbone.auth import TailboneSecurityPolicy
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
    config.add_subscriber(tell_errors_apart, NewResponse)
    rattail_config = config.registry.settings["rattail_config"]
    let_each_thread_have_its_session()
    let_logout_end_the_session()
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


def tell_errors_apart(event):
    """Answer an error with status 500, so that a monitor or a proxy sees it.

    In production, Tailbone shows its error page with status 200.
    """
    failed = getattr(event.request, "exception", None)
    if failed and event.response.status_int == 200:
        event.response.status_int = 500


def let_each_thread_have_its_session():
    """Look up who is logged in by the database session of the request's own thread.

    Tailbone keeps one session for all threads, which fails when pages load at once.
    """
    TailboneSecurityPolicy.db_session = property(lambda policy: Session(), lambda policy, session: None)


def let_logout_end_the_session():
    """Forget a session for good when its user logs out.

    Tailbone goes on under a new name and leaves what is stored under the old one,
    so that a copy of the cookie would stay logged in.
    """
    clear = SessionObject.delete

    def delete(session):
        clear(session)
        # stored while it is empty and still has its name
        session.persist()

    SessionObject.delete = delete


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
