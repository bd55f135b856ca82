"""Print what `copier copy`, `copier update` and update.sh cost, as ratios side by side.

`nox -s benchmarks` runs this.  Every ratio is of the least of some runs, taken in turns, so that
what else the machine does falls on both sides: of the time on the clock, and of the time on the
processor, which says more on a busy machine.  Everything happens in a temporary folder.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import copier
from real import envs
from real.apps import make_app
from real.envs import uv
from support import git, release, release_work_tree  # beside us, not installed

COPIER = Path(sys.executable).with_name("copier")


def run(*command):
    """Run a command quietly, or end with its output if it fails."""
    done = subprocess.run(list(map(str, command)), cwd="/", capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def timed(*command):
    """Run a command, and return the seconds that it took."""
    start = time.perf_counter()
    run(*command)
    return time.perf_counter() - start


def renderer(repo):
    """Return the function that make_app() renders with, from the work tree as a release in `repo`.

    setup.sh then asks for no password, and packages come from the caches of the tests.
    """
    os.environ |= {"ADMIN_PASSWORD": "s3cret", "UV_CACHE_DIR": envs.UV_CACHE, "PIP_CACHE_DIR": envs.PIP_CACHE}
    release_work_tree(repo)

    def render(folder, **answers):
        copier.run_copy(str(repo), folder, data={"app_name": "poser"} | answers, defaults=True, quiet=True)

    return render


def our_template(repo):
    """Make a repository of the template with two releases, of which the second changes three files."""
    release_work_tree(repo)
    for name in ("cron.conf.jinja", "web.conf.jinja", "setup.sh"):
        path = repo / "template" / name
        path.write_text(path.read_text() + "# new in 1.1.0\n")
    release(repo, "v1.1.0")
    git("gc", "--quiet", cwd=repo)
    return repo


def plain_template(repo, names=()):
    """Make a repository of a template without questions, with the named files, all empty."""
    for name in names:
        (repo / "template" / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / "template" / name).touch()
    (repo / "template").mkdir(exist_ok=True, parents=True)
    (repo / "copier.yml").write_text("_subdirectory: template\n")
    (repo / "template/{{ _copier_conf.answers_file }}.jinja").write_text("{{ _copier_answers | to_nice_yaml }}")
    git("init", "--quiet", cwd=repo)
    release(repo, "v1.0.0")
    git("gc", "--quiet", cwd=repo)  # packed, as a template that is fetched from a server
    return repo


def copy(template, folder, *options):
    """Render a template, with its defaults."""
    run(COPIER, "copy", "--quiet", "--defaults", *options, template, folder)


def make_files(folder, count, per_folder=100):
    """Make small files below a folder, `per_folder` in each; every tenth name is not UTF-8."""
    for number in range(count):
        name = folder / f"{number // per_folder % 256:02x}" / f"{number // per_folder:06d}"
        if not number % per_folder:
            name.mkdir(parents=True)
        flag = b"\xff" if not number % 10 else b"f"
        os.close(os.open(os.fsencode(name) + b"/%s%d" % (flag, number), os.O_CREAT | os.O_WRONLY))


def fill(app, files, sessions):
    """Put data files, a tenth of them in one flat folder, and session files into an app dir."""
    progress(f"making {files} data files and {sessions} sessions")
    make_files(app / "data/uploads", files // 10, per_folder=files)
    make_files(app / "data/batches/inventory", files - files // 10)
    make_files(app / "sessions/data", sessions)


def progress(text):
    """Say what goes on, on stderr, since it takes minutes."""
    print(f"... {text}", file=sys.stderr, flush=True)


def compare(runs, works):
    """Run works (name: (prepare, work)) in turns, and return the least seconds of each: (clock, processor)."""
    best = dict.fromkeys(works, (float("inf"), float("inf")))
    for turn in range(runs):
        for name, (prepare, work) in works.items():
            progress(f"run {turn + 1} of {runs}: {name}")
            prepare()
            start, used = time.perf_counter(), processor()
            work()
            seconds = time.perf_counter() - start, processor() - used
            best[name] = tuple(map(min, best[name], seconds))
    return best


def processor():
    """Return the seconds that all commands so far have used of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(title, best, work, bases):
    """Print the seconds of a work, and those of others with its ratio to them (name: goal of the ratio, or None)."""
    print(f"\n{title:<50} {'clock':>9} {'ratio':>7} {'processor':>11} {'ratio':>7}")
    for name, goal in {work: None, **bases}.items():
        label = f"  {name}" if name == work else f"  to {name}" + (f" (goal {goal} or less)" if goal else "")
        columns = [
            f"{value:9.2f} s {'' if name == work else format(own / value, '.2f'):>7}"
            for value, own in zip(best[name], best[work], strict=True)
        ]
        print(f"{label:<50}", *columns, flush=True)


def peer(env, package, command):
    """Install a framework in an env, and return a function that makes an app dir by its own command."""
    progress(f"installing {package}")
    uv("venv", "--quiet", "--python", sys.executable, env)
    uv("pip", "install", "--quiet", "--python", env / "bin/python", package, "setuptools<81")
    return lambda folder: run(env / "bin" / command, "make-appdir", "--path", folder)


def copies(work, template, runs):
    """Compare `copier copy` with templates that hold less, and with the commands of the frameworks."""
    copy(template, work / "sample/app")
    names = [path.relative_to(work / "sample/app") for path in (work / "sample/app").rglob("*") if path.is_file()]
    empty = plain_template(work / "empty")
    same = plain_template(work / "same", [name for name in names if name.name != ".copier-answers.yml"])
    types = work / "types.yml"
    types.write_text("batch_types: [" + ", ".join(f"type_{number}" for number in range(1000)) + "]\n")
    wutta = peer(work / "wutta", "WuttJamaican", "wutta")
    rattail = peer(work / "rattail", "rattail", "rattail")
    made = work / "made/app"

    def prepare():
        shutil.rmtree(made.parent, ignore_errors=True)
        made.parent.mkdir()

    bases = {
        "an empty template": lambda: copy(empty, made),
        f"a template of {len(names)} empty files": lambda: copy(same, made),
        "wutta make-appdir": lambda: wutta(made),
        "rattail make-appdir": lambda: rattail(made),
    }
    ours, thousand = "this template", "this template with 1,000 batch types"
    works = {ours: lambda: copy(template, made), thousand: lambda: copy(template, made, "--data-file", types)}
    best = compare(runs, {name: (prepare, function) for name, function in (bases | works).items()})
    report("copier copy", best, ours, dict.fromkeys(bases) | {"an empty template": 1.15})
    report("copier copy", best, thousand, {ours: None})


def updates(work, ours, runs, files, sessions):
    """Compare `copier update` and update.sh of an app dir that is full with those of an empty one."""

    def render(folder, **answers):
        data = [part for item in answers.items() for part in ("--data", "{}={}".format(*item))]
        copy(ours, folder, "--vcs-ref", "v1.0.0", *data)

    apps = {}
    envs.shared_envs = Path(os.environ.get("TEST_ENVS") or work / "envs")
    for name in ("empty", "full"):
        progress(f"setting up the {name} app dir")
        app = make_app(render, work / "apps" / name, framework="wutta", app_name="poser")
        app.setup("--quiet")
        git("tag", "setup", cwd=app.dir)
        apps[name] = app.dir
    fill(apps["full"], files, sessions)

    def back(app, tag):
        git("reset", "--quiet", "--hard", tag, cwd=app)
        git("clean", "--quiet", "--force", "-d", cwd=app)

    commands = {
        "update.sh": lambda app: run(app / "update.sh", "--quiet"),
        "copier update": lambda app: run(COPIER, "update", "--quiet", "--defaults", app),
    }
    for app in apps.values():
        commands["update.sh"](app)
        git("tag", "updated", cwd=app)
    for tag, title, goal in (("setup", "a real update", 0.7), ("updated", "nothing is new", 0.2)):
        works = {
            f"{command} in the {name} app dir": (partial(back, app, tag), partial(commands[command], app))
            for command in commands
            for name, app in apps.items()
        }
        best = compare(runs, works)
        for name in apps:
            bases = {f"copier update in the {name} app dir": goal}
            if name == "full":
                bases["update.sh in the empty app dir"] = 1.05
            report(title, best, f"update.sh in the {name} app dir", bases)


def main():
    """Run the benchmarks that the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1_000_000, help="data files of the full app dir")
    parser.add_argument("--sessions", type=int, default=100_000, help="session files of the full app dir")
    parser.add_argument("--runs", type=int, default=7, help="runs of each, of which the fastest counts")
    parser.add_argument("--only", choices=["copy", "update"], help="leave the other out")
    options = parser.parse_args()
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "COPIER": str(COPIER)}
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "Benchmark", f"GIT_{role}_EMAIL": "benchmark@localhost"}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        ours = our_template(work / "template")
        if options.only != "update":
            copies(work, ours, options.runs)
        if options.only != "copy":
            updates(work, ours, options.runs, options.files, options.sessions)


if __name__ == "__main__":
    main()
