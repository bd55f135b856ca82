"""The packages of the env: a copy of those of before is kept, and comes back if an adoption is refused or undone."""

import shutil

from adopt.tools import run

PARTS = ("bin", "etc", "include", "lib", "share", "src")  # of an env; what else is in it is not pip's


def kept(env):
    """Return the folder that holds the packages of before, if there is one."""
    return env / ".before-adoption"


def keep(env):
    """Copy the packages of an env; real copies, since some software changes files in place."""
    draft = env / ".new-before-adoption"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    parts = [env / part for part in PARTS if (env / part).exists()]
    run("cp", "-a", "--reflink=auto", *parts, draft, check=True)
    draft.rename(kept(env))


def restore(env):
    """Put the packages of before back, if they were kept; may be interrupted at any point and run again."""
    failed = env / ".failed-adoption"
    for part in sorted(kept(env).iterdir()) if kept(env).is_dir() else ():
        shutil.rmtree(failed, ignore_errors=True)
        failed.mkdir()
        if (env / part.name).exists():
            (env / part.name).rename(failed / part.name)
        part.rename(env / part.name)
    shutil.rmtree(failed, ignore_errors=True)
    shutil.rmtree(kept(env), ignore_errors=True)
