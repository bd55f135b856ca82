"""check.sh judges every overnight automation, and reports the worst."""

import datetime
import os
import time

import pytest
from appdir import check
from appdir.check import Unknown
from appdir.core import Stop

DAY = 86400


@pytest.fixture
def nights(app_dir, monkeypatch):
    """A function that leaves the results of automations: (code, days since it ran), or None for one that never ran."""
    monkeypatch.setattr(check, "night_of_rattail", lambda _: None)

    def nights(**results):
        for folder in ("luigitasks", "luigi/log"):
            (app_dir / folder).mkdir(parents=True)
        for name, result in results.items():
            (app_dir / f"luigitasks/overnight_{name}.py").touch()
            if result:
                last, (code, days) = app_dir / f"luigi/log/last-{name}", result
                last.write_text(f"2026-01-31 {code}\n")
                os.utime(last, (0, time.time() - days * DAY))

    return nights


@pytest.mark.parametrize(
    ("results", "kind", "text"),
    [
        ({}, None, "there is none"),
        ({"a": (0, 0), "b": (0, 2)}, None, "a for 2026-01-31 is done; b for 2026-01-31 is done"),
        ({"a": None, "b": (0, 0)}, Unknown, "a has not run yet"),
        ({"a": None, "b": (30, 0), "c": (0, 0)}, Stop, "b for 2026-01-31 ended with code 30"),
        ({"a": (30, 0), "b": (0, 4)}, Stop, "a for 2026-01-31 ended with code 30; .*; b ran last on "),
    ],
)
def test_the_worst_counts(nights, results, kind, text):
    nights(**results)
    if kind:
        with pytest.raises(kind, match=f"^{text}"):
            check.check_overnight()
    else:
        assert check.check_overnight() == text


@pytest.mark.parametrize(
    ("result", "recorded", "status"),
    [
        (None, 1, "ok"),
        (None, 5, "FAILED"),
        ((30, 0), 1, "ok"),  # a later night
        ((0, 5), 1, "ok"),
        ((0, 0), 500, "ok"),  # an earlier one
        ((30, 0), 500, "FAILED"),
    ],
)
def test_nights_by_rattail_count(nights, monkeypatch, result, recorded, status):
    day = str(datetime.date.today() - datetime.timedelta(days=recorded))
    nights(a=result)
    monkeypatch.setattr(check, "night_of_rattail", lambda name: {"a": day}[name])
    assert check.last_night("a")[0] == status
