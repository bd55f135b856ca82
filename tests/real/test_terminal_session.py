"""docs/terminal.svg shows what setup.sh and check.sh print; `nox -s pictures` draws it again."""

import html
import os
import re

from real.apps import make_app
from support import ROOT

PICTURE = ROOT / "docs/terminal.svg"
SIZE, WIDTH, LINE = 14, 8.43, 20  # of the letters, in pixels


def test_session(render, tmp_path):
    app = make_app(render, tmp_path / "poser")
    session = f"$ {app.dir}/setup.sh\n{app.setup()}$ {app.dir}/check.sh\n"
    with app.supervise():
        session += app.run("./check.sh").stdout
    shown = draw(neutral(session, app))
    if os.environ.get("UPDATE_DOCS"):
        PICTURE.write_text(shown)
    assert PICTURE.read_text() == shown, "docs/terminal.svg is out of date; run nox -s pictures"


def neutral(session, app):
    """Return a session with the example's path and port, and the numbers of another machine."""
    session = session.replace(str(app.env), "/srv/envs/poser").replace(f":{app.port}/", ":9080/")
    return re.sub(r"\d+\.\d GB \(\d+%\)", "80.0 GB (80%)", session)


def draw(session):
    """Return an SVG of a terminal that shows a session; lines that begin with $ are what somebody typed."""
    lines = session.splitlines()
    width, height = round(max(map(len, lines)) * WIDTH) + 40, len(lines) * LINE + 40
    texts = []
    for number, line in enumerate(lines):
        if not line:
            continue
        bold = ' font-weight="bold"' if line.startswith("$") else ""
        text = html.escape(line, quote=False)
        texts.append(f'<text x="20" y="{40 + number * LINE}"{bold}>{text}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<style>text { white-space: pre }</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1e1e2e"/>',
        f'<g fill="#e6e6ef" font-family="monospace" font-size="{SIZE}">',
        *texts,
        "</g>",
        "</svg>\n",
    ])  # fmt: skip
