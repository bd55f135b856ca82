"""Guards the logins of the web app: wrong passwords, the session's name, and what a logout leaves."""

import collections
import logging
import threading
import time

from beaker.session import SessionObject
from pyramid.httpexceptions import HTTPTooManyRequests
from wuttaweb.auth import WuttaSecurityPolicy

from appdir.web import find

MOST, SECONDS = 20, 300  # so many wrong passwords from one address, within so many seconds
# of each framework, the classes whose authenticate_user(..., username, password) decides on a login
VIEWS = (
    "wuttaweb.views.auth:AuthView",
    "tailbone.views.auth:AuthenticationView",
    "tailbone.api.auth:AuthenticationView",
)

log = logging.getLogger(__name__)
failures = collections.defaultdict(lambda: collections.deque(maxlen=MOST))  # when logins failed, by address
lock = threading.Lock()


def guard():
    """Let each login be guarded, whichever framework does it."""
    for view in filter(None, map(find, VIEWS)):
        view.authenticate_user = counted(view.authenticate_user)
    WuttaSecurityPolicy.remember = renamed(WuttaSecurityPolicy.remember)
    SessionObject.delete = ended(SessionObject.delete)


def counted(authenticate_user):
    """Return authenticate_user() that logs a wrong password, and refuses an address with too many."""

    def authenticate(view, *args):
        address, username, now = view.request.client_addr, args[-2], time.monotonic()
        with lock:
            for known in [one for one, times in failures.items() if times[-1] < now - SECONDS]:
                del failures[known]
            is_refused = len(times := failures.get(address, ())) == MOST and times[0] > now - SECONDS
        if not is_refused and (user := authenticate_user(view, *args)):
            return user
        # system/fail2ban.conf knows this line
        log.warning("login refused for %r from %s", username, address)
        if is_refused:
            raise HTTPTooManyRequests("Too many wrong passwords; try again in five minutes.")
        with lock:
            failures[address].append(now)
        return None

    return authenticate


def renamed(remember):
    """Return remember() that gives the session another name, as somebody else may have chosen the one it had."""

    def remember_by_new_name(policy, request, userid, **options):
        kept = {key: value for key, value in request.session.items() if key not in ("_creation_time", "_accessed_time")}
        request.session.invalidate()
        request.session.update(kept)
        return remember(policy, request, userid, **options)

    return remember_by_new_name


def ended(delete):
    """Return delete() that ends a session for good.

    Upstream goes on under a new name and leaves what is stored under the old one, so that a copy of the
    cookie would stay logged in.
    """

    def delete_for_good(session):
        delete(session)
        session.persist()  # while it is empty and still has its name

    return delete_for_good
