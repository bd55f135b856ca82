"""The pages of Luigi's scheduler for admins, at /luigi/scheduler/: nobody else can open its socket."""

import http.client
import re

from pyramid.httpexceptions import HTTPForbidden, HTTPFound, HTTPServiceUnavailable
from pyramid.response import Response

from appdir import luigi

START = ("static", "visualiser", "index.html")
# what its pages ask for to show something; all else, by which a link from elsewhere could do harm, is refused
LOOKING = {"dep_graph", "fetch_error", "get_task_progress_percentage", "get_task_status_message", "has_task_history"}
LOOKING |= {"inverse_dep_graph", "is_pause_enabled", "is_paused", "resource_list", "task_list", "worker_list"}


class Connection(http.client.HTTPConnection):
    """A connection to the scheduler."""

    def connect(self):
        """Open it."""
        self.sock = luigi.connect()


def includeme(config):
    """Add the pages."""
    config.add_route("appdir.scheduler", "/luigi/scheduler/*path")
    config.add_view(show, route_name="appdir.scheduler", request_method="GET")


def show(request):
    """Return a page of the scheduler."""
    path = request.matchdict["path"]
    if not getattr(request, "is_admin", False) or (path[:1] == ("api",) and "/".join(path[1:]) not in LOOKING):
        raise HTTPForbidden
    if not path:
        return HTTPFound(request.route_path("appdir.scheduler", path=START))
    root = request.route_path("appdir.scheduler", path=())
    server = Connection("localhost")
    try:
        server.request("GET", "/" + request.path_qs.removeprefix(root))
        answer = server.getresponse()
        body, kind = answer.read(), answer.getheader("Content-Type", "text/plain")
    except OSError:
        return HTTPServiceUnavailable("Luigi's scheduler is down.")
    finally:
        server.close()
    if kind.startswith("text/html"):  # some of its links begin at the root of the site
        body = re.sub(rb'(href|src)="/(?!/)', rb'\1="%s' % root.encode(), body)
    if kind.startswith("text/css"):  # nobody elsewhere learns who looks
        body = re.sub(rb"@import url\(https:[^)]*\);?", b"", body)
    return Response(body, answer.status, [("Content-Type", kind)])
