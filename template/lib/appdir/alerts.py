"""Tells somebody how a job went: by mail, to a heartbeat URL, or both.

The heartbeat speaks the protocol of https://healthchecks.io/docs/http_api/: start, success and failure.  Mail tells
of a failure at first, then once a week while it lasts, and of its end.
"""

import configparser
import contextlib
import email.message
import email.utils
import json
import os
import re
import smtplib
import socket
import ssl
import sys
import time
import urllib.request
from urllib.parse import unquote

from appdir.answers import ALERTS, APP_NAME, MAIL_TLS
from appdir.core import APPDIR, CORE_CONFIG, FRAMEWORK, Stop, first_line
from appdir.repository import STATE

BY_MAIL, BY_HEARTBEAT = (ALERTS in (way, "both") for way in ("mail", "heartbeat"))
WEEK = 7 * 24 * 3600  # seconds
LINES = 20  # of what a job said
SECONDS = 20  # until a mail server or the heartbeat must answer


def setting(*names):
    """Return a value of the app's own configs as they say it, or an empty text; `names` are section:key."""
    parser = configparser.RawConfigParser()
    parser.read([APPDIR / "local.conf", APPDIR / "secrets.conf", CORE_CONFIG])  # in the core config, later ones win
    found = (parser.get(*name.split(":"), fallback="") for name in names)
    return next(filter(None, found), "").replace("%%", "%")


def operator():
    """Return the address to which mails go."""
    return setting(f"{FRAMEWORK}.mail:default.to", f"{FRAMEWORK}.email:default.to")


def begin(name):
    """Tell the heartbeat that a job begins."""
    ping(name, "/start")


def succeed(name):
    """Tell that a job went well, by mail only if it had failed before."""
    ping(name)
    if (state := state_of(name)).exists() and mail(f"{name} works again", "The last run went well."):
        state.unlink()


def fail(name, problem, said, kind):
    """Tell what is wrong with a job, and the end of what it said; return whether somebody knows.

    Mail of the same `kind` goes out once a week.
    """
    text = without_secrets("\n".join(said.strip().splitlines()[-LINES:]))
    is_known = ping(name, "/fail", f"{name} {problem}\n{text}")
    state, now = state_of(name), time.time()
    before = json.loads(state.read_text()) if state.exists() else {}
    if before.get("kind") == kind and now - before["told"] < WEEK:
        return True
    if mail(f"{name} {problem}", text):
        with contextlib.suppress(PermissionError):  # systemd tells of root's backup by the service user
            state.write_text(json.dumps({"kind": kind, "told": now}))
        return True
    return is_known


def state_of(name):
    """Return the file that tells of what somebody was told about a job."""
    return folder_of(name) / f"alert-{name}"


def folder_of(name):
    """Return the folder of what a job leaves about its runs: only who keeps the backups may say how they go."""
    return STATE if name == "backup" else APPDIR / "log"


def ping(name, event="", text=""):
    """Send an event of a job to the heartbeat URL, and return whether it took it."""
    if not BY_HEARTBEAT:
        return False
    url = f"{setting('alerts:heartbeat.url').rstrip('/')}/{APP_NAME}-{name}{event}"
    try:
        urllib.request.urlopen(url, text.encode(), timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        print(f"the heartbeat URL does not answer: {without_secrets(first_line(error))}", file=sys.stderr)
        return False
    return True


def mail(subject, text):
    """Send a mail about a job, and return whether the server took it."""
    if not BY_MAIL:
        return False
    try:
        send(subject, f"{subject[0].upper()}{subject[1:]}.\n\n{text}\n\n{APPDIR} on {socket.gethostname()}\n")
    except Stop as stop:
        print(stop, file=sys.stderr)
        return False
    return True


def send(subject, text):
    """Send a mail to the operator by the app's own settings; Stop if the server does not take it."""
    fw = FRAMEWORK
    message = email.message.EmailMessage()
    message["Subject"] = f"[{APP_NAME}] {subject}"
    message["From"] = setting(f"{fw}.mail:default.from", f"{fw}.email:default.sender")
    message["To"] = operator()
    message["Date"] = email.utils.localtime()
    message.set_content(text)
    with server() as smtp:
        smtp.send_message(message)


@contextlib.contextmanager
def server():
    """Give a connection to the mail server, with a login if it wants one; Stop if it refuses anything."""
    name = setting(f"{FRAMEWORK}.mail:smtp.server") or "localhost"
    user, password = (setting(f"{FRAMEWORK}.mail:smtp.{key}") for key in ("username", "password"))
    if user and not password:
        raise Stop(f"{name} wants a password; write it into secrets.conf, as smtp.password of [{FRAMEWORK}.mail]")
    host, _, port = name.partition(":")
    try:
        with (smtplib.SMTP_SSL if port == "465" else smtplib.SMTP)(host, int(port or 25), timeout=SECONDS) as smtp:
            smtp.ehlo()
            if smtp.has_extn("starttls"):  # to whom a password goes is made sure of
                smtp.starttls(context=ssl.create_default_context() if user or MAIL_TLS else None)
            elif MAIL_TLS and port != "465":  # somebody between may have taken the offer away
                raise smtplib.SMTPNotSupportedError("it offers no TLS, which the answer to mail_tls demands")
            if user:
                smtp.login(user, password)
            yield smtp
    except (OSError, smtplib.SMTPException) as error:
        raise Stop(f"no mail can be sent by {name}: {without_secrets(first_line(error))}") from None


def without_secrets(text):
    """Return a text without the values of secrets.conf and restic.env, and the passwords within them."""
    known = set()
    for name in ("secrets.conf", "restic.env"):
        if os.access(APPDIR / name, os.R_OK):
            lines = (APPDIR / name).read_text().splitlines()
            values = (line.partition("=")[::2] for line in lines if not line.startswith("#"))
            known |= {value.strip() for key, value in values if key.strip() != "use"}
    known |= {match[1] for value in known if (match := re.search("//[^/]*?:(.*)@", value))}
    known |= {value.replace("%%", "%") for value in known}
    known |= {unquote(value) for value in known}
    for value in sorted(known, key=len, reverse=True):
        text = text.replace(value, "...") if len(value) > 5 else text
    return text


def check():
    """Return where alerts go; Stop if they cannot go there."""
    if BY_HEARTBEAT and not setting("alerts:heartbeat.url"):
        raise Stop("the heartbeat has no URL; write it into secrets.conf, as heartbeat.url of [alerts]")
    if BY_MAIL:
        with server():
            pass
    places = [operator()] * BY_MAIL + ["the heartbeat URL"] * BY_HEARTBEAT
    return f"go to {' and '.join(places)}" if places else "go nowhere"
