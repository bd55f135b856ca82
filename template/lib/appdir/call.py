"""Runs a function of this package, or the whole command, in another process, which may be another user's."""

import contextlib
import importlib
import json
import re
import subprocess
import sys

from appdir.core import FLAGS, LIB, Stop, reason, report, run, stop_of

ANSWER = "\0"  # how the line begins that is the answer; all others are for people
MOST = 10_000_000  # characters of one line
CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")  # what could steer a terminal


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


def process(start, *args, **options):
    """Start a command of this program, behind one that makes it another user's; he gets no file of our terminal."""
    command = [*start, sys.executable, *FLAGS, LIB, *args]
    return subprocess.Popen(list(map(str, command)), cwd="/", text=True, errors="surrogateescape", **options)


def elsewhere(start, function, args):
    """Return what a function returns in a process that a command starts, and show what that prints."""
    name, answer, said = f"{function.__module__.removeprefix('appdir.')}:{function.__name__}", None, ""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "close_fds": False}
    with process(start, "call", *report.flags(), name, **pipes) as child:
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin:
                json.dump([report.command, args], child.stdin)
            while line := child.stdout.readline(MOST):
                if line.startswith(ANSWER):
                    answer = json.loads(line[1:])
                    break  # what he left running may still hold the pipe
                said = (said + line)[-1000:]
                print(CONTROL.sub("", line), end="", flush=True)
        except BaseException:
            end(start, child)
            raise
    if answer is None:
        can = f"{sys.executable}; make the env with a Python that all may run" if child.returncode == 126 else name
        raise Stop(f"another user cannot run {can}: {reason(said)}")
    return value_of(answer)


def again(start):
    """Run the command once more, behind one that makes it another user's, and return its exit code."""
    with contextlib.ExitStack() as opened:
        cats = [opened.enter_context(subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)) for file in (1, 2)]
        out, errors = (cat.stdin for cat in cats)
        child = process(start, *report.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        try:
            return abs(child.wait())
        except BaseException:
            end(start, child)
            child.wait()
            raise


def end(start, child):
    """End what a process does as another user, who only can: it leads a session."""
    run(*start, "pkill", "--session", child.pid, cwd="/")


def main(options):
    """Run the function MODULE:NAME, and print its answer."""
    report.command, args = json.load(sys.stdin)
    module, _, name = options.name.partition(":")
    answer = answer_of(getattr(importlib.import_module(f"appdir.{module}"), name), args)
    print(f"{ANSWER}{json.dumps(answer)}", flush=True)
    raise SystemExit(0)
