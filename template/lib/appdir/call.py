"""Runs a function of this package in another process, as a command of its own, which sudo can run as another user."""

import contextlib
import importlib
import io
import json
import os
import sys

from appdir.core import FLAGS, LIB, Stop, reason, report, run, stop_of

PASSED = ("APPDIR", "APPDIR_ENV", "APPDIR_DEBUG")  # environment variables that say where the app dir is


def command(*args):
    """Return the command that runs one of this program's commands, to be put behind sudo, which passes no variables."""
    variables = [f"{name}={os.environ[name]}" for name in PASSED if name in os.environ]
    return ["env", *variables, sys.executable, *FLAGS, LIB, *args]


def answer_of(function, args):
    """Return what a function returns or stops with, and what it reported, as a dict for JSON."""
    report.lines, report.facts = [], {}
    try:
        answer = {"value": function(*args)}
    except Exception as error:  # whatever upstream raises
        stop = stop_of(error)
        answer = {"stop": str(stop), "code": stop.code, "stop_facts": stop.facts}
    return answer | {"lines": report.lines, "facts": report.facts}


def value_of(answer):
    """Return what the function of an answer returned, and report what it did, or raise its Stop."""
    report.lines += answer["lines"]
    report.facts |= answer["facts"]
    if "stop" in answer:
        raise Stop(answer["stop"], answer["code"], **answer["stop_facts"])
    return answer["value"]


def elsewhere(become, function, args):
    """Return what a function returns in a process that a command `become` starts; it gets arguments as its input."""
    name = f"{function.__module__.removeprefix('appdir.')}:{function.__name__}"
    done = run(*become, *command("call", *report.flags(), name), cwd="/", input=json.dumps(args))
    print(done.stderr, end="", file=sys.stderr)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise Stop(f"{become[0]}: {reason(done.stderr or done.stdout)}") from None
    print(answer.pop("shown"), end="", flush=True)
    return value_of(answer)


def main(options):
    """Run the function MODULE:NAME, and print its answer."""
    report.command, args = "call", json.load(sys.stdin)
    module, _, name = options.name.partition(":")
    function, shown = getattr(importlib.import_module(f"appdir.{module}"), name), io.StringIO()
    with contextlib.redirect_stdout(shown):
        answer = answer_of(function, args)
    print(json.dumps(answer | {"shown": shown.getvalue()}), file=sys.__stdout__, flush=True)
    raise SystemExit(0)
