"""What looks like a secret: it must not come into git, nor onto the screen."""

import re

KEY = re.compile(
    r"pass(word|wd|phrase)|\bpass\b|pwd|secret|token|credential|api_?key|private|(^|\.)url$|^kwargs$"
    r"|(^|[._-])(\w*key|\w+_keys|auth\w*|\w*salt|bearer|dsn|\w*webhook|hmac|login|id_rsa)$(?<!session\.key)",
    re.I,
)
VALUE = re.compile(
    r"://[^\s/@]*(:[^\s@]*)?@|hooks?[./]|PRIVATE KEY|\b(bearer|basic)\s+\S|\s(-p ?|(-u|--user)[ =]?\S+:)\S"
    r"|(pass(word|wd)?|pwd|token|secret|credentials?|key)['\"]?\s*[=:]"
    r"|,\s*\(\s*(?P<a>['\"]).*(?P=a)\s*,\s*(?P<b>['\"]).*(?P=b)\s*\)",
    re.I,
)
WELL_KNOWN = {"TODO_YOU_SHOULD_CHANGE_THIS", "e:VHDVstO=H1%h1bV><&"}  # session secrets of upstream's examples


def is_secret(key, value):
    """Return whether a key or a value of a config looks like a secret."""
    return bool(KEY.search(key) or VALUE.search(value))


def hide(text, values=()):
    """Return a text for the screen, without these values and what looks like a secret."""
    lines = {line.strip() for value in values for line in value.splitlines()}  # each is indented in its file
    for line in sorted(filter(None, lines), key=len, reverse=True):
        text = re.sub(rf"(?m)(?<=[=\s]){re.escape(line)}$", "(hidden)", text)
    return re.sub(r"(?m)^([^=:\n]*[=:][ \t]*(?=\S))?(.+)$", hide_line, text)


def hide_line(match):
    """Return a line of a text, as a key with its sign and a value, without a value that looks like a secret."""
    key, value = match[1] or "", match[2]
    return f"{key}(hidden)" if is_secret(key.rstrip(" \t=:"), value) else match[0]
