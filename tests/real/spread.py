"""How the tests spread over pytest's workers: those that share an app stay together, the others run anywhere."""

import pytest

# the files that take longest, which begin first, so that in the end no worker waits for another
LONGEST = ["restore", "login", "fleet_of_many_hosts", "adopt", "backup", "upgrade", "fleet_of_one_app"]
LONGEST += ["upgrade_framework", "services", "setup", "update", "config", "check", "permissions", "menu", "luigi"]
# files whose tests each begin with the app as it was first: in how many parts they may run, each with an app of its own
PARTS = {"test_upgrade": 2}


def spread(items):
    """Sort tests, and mark with a group those that must stay on one worker."""
    order = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    leaders = {}

    def leader(thing):
        while (other := leaders.setdefault(thing, thing)) != thing:
            thing = other
        return thing

    found = [(item, shared(item)) for item in items]
    for _, things in found:
        for thing in things[1:]:
            leaders[leader(thing)] = leader(things[0])
    for item, things in found:
        if things and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("-".join(filter(None, leader(things[0])))))


def shared(item):
    """Return what a test shares with others, as tuples of words: fixtures of its module, and apps of `app_of`."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    fixtures = {name: found[-1] for name, found in item._fixtureinfo.name2fixturedefs.items() if found}

    def made_with(name):
        needs = [made_with(other) for other in fixtures[name].argnames if other in fixtures]
        return "-".join(filter(None, [str(params.get(name, "")), *needs]))

    part = part_of(item)
    things = [(item.path.stem, part, name, made_with(name)) for name in fixtures if fixtures[name].scope == "module"]
    if "app_of" in fixtures:
        app = (params.get("kind"), params.get("database", "sqlite"), params.get("python", "3.11"))
        things.append(app if app[0] else (item.path.stem, part, "app_of"))
    return things


def part_of(item):
    """Return in which part of its file a test runs, as a word; an empty one if the file is not divided."""
    parts = PARTS.get(item.path.stem)
    if not parts:
        return ""
    tests = [name for name in vars(item.module) if name.startswith("test_")]
    return str(tests.index(item.originalname) * parts // len(tests))
