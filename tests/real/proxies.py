"""A real nginx and a real Apache for tests, each with one site of the template."""

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from real.apps import listens, running
from support import require

NGINX = """
daemon off;
user root;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
MODULES = ["mpm_event", "authz_core", "alias", "headers", "proxy", "proxy_http", "ssl"]
APACHE = "\n".join(
    [
        *[f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES],
        "ServerName localhost",
        "DefaultRuntimeDir {folder}",
        "PidFile {folder}/pid",
        "ErrorLog {folder}/error.log",
        "User www-data",
        "Group www-data",
        "Listen 127.0.0.1:{http}",
        "Listen 127.0.0.1:{https}",
        "IncludeOptional {folder}/site.con[f]\n",
    ]
)


@contextmanager
def nginx(folder, site, ports):
    """Run nginx with a site while the `with` lasts, after its own check of it."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    require(program, "nginx", "nginx-light")
    site = site.replace("listen 80;", f"listen 127.0.0.1:{ports['http']};")
    (folder / "site.conf").write_text(site.replace("listen 443 ", f"listen 127.0.0.1:{ports['https']} "))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    command = [program, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    checked = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    with running(command, folder / "out", lambda: listens(ports["https"])):
        yield


@contextmanager
def apache(folder, site, ports):
    """Run Apache with a site while the `with` lasts, after its own check of it."""
    program = Path("/usr/sbin/apache2")
    require(program.exists(), "Apache", "apache2-bin")
    site = site.replace("*:80>", f"*:{ports['http']}>")
    (folder / "site.conf").write_text(site.replace("*:443>", f"*:{ports['https']}>"))
    (folder / "apache.conf").write_text(APACHE.format(folder=folder, **ports))
    checked = subprocess.run([program, "-t", "-f", folder / "apache.conf"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "Syntax OK\n")
    with running(
        [program, "-DFOREGROUND", "-f", folder / "apache.conf"], folder / "out", lambda: listens(ports["https"])
    ):
        yield
