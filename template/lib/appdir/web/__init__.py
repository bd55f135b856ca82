"""What the web apps load beside upstream's code, by `pyramid.includes` in web.conf and webapi.conf."""

import importlib
import logging
from importlib import metadata

from pyramid.events import NewResponse

from appdir import alerts
from appdir.answers import LUIGI, SEND_MAIL

REPAIRED = "0.23."  # how the versions of Tailbone begin in which the repairs were seen to be needed
# of each framework, the policy that says who is logged in, and the database session of a thread
POLICIES = {
    "wuttaweb.auth:WuttaSecurityPolicy": "wuttaweb.db:Session",
    "tailbone.auth:TailboneSecurityPolicy": "tailbone.db:Session",
}

log = logging.getLogger(__name__)


def includeme(config):
    """Guard the logins, and repair what is known to be broken in the versions that are installed."""
    from appdir.web import logins  # which needs find()

    logins.guard()
    if SEND_MAIL:
        logging.getLogger("exc_logger").addHandler(MailHandler())
    if LUIGI:
        config.include("appdir.web.scheduler")
    config.add_subscriber(tell_errors_apart, NewResponse)
    for spec, session in POLICIES.items():
        if policy := find(spec):
            let_each_thread_have_its_session(policy, find(session))
    if "rattail_config" in config.registry.settings:
        if (version := metadata.version("Tailbone")).startswith(REPAIRED):
            config.include("appdir.web.tailbone")
        else:
            log.warning("Tailbone %s is not %sx, so it is not repaired", version, REPAIRED)


class MailHandler(logging.Handler):
    """Mails each record to the operator, as the alerts of jobs are; upstream's own mails know no TLS."""

    def emit(self, record):
        """Send a record; an error of that goes where errors of logging go."""
        try:
            alerts.send("error", alerts.without_secrets(self.format(record)))
        except Exception:  # the page has its answer, whatever the mail server says
            self.handleError(record)


def find(spec):
    """Return what a spec such as wuttaweb.db:Session names, or None where that is not installed."""
    module, _, name = spec.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return None


def let_each_thread_have_its_session(policy, session):
    """Look up who is logged in by the database session of the request's own thread.

    Upstream keeps one session for all threads, which fails when pages load at once.
    """
    policy.db_session = property(lambda _: session(), lambda *_: None)


def tell_errors_apart(event):
    """Answer an error with the status of an error, so that a monitor or a proxy sees it.

    Both frameworks show their page for it with status 200.
    """
    failed = getattr(event.request, "exception", None)
    if failed and event.response.status_int == 200:
        event.response.status_int = getattr(failed, "status_int", 500)
