"""Yours. Luigi tasks of this app; updates never touch a file in this folder."""

from appdir.luigi import address
from luigi.configuration import get_config

# so that tasks which leave the folder luigi do not lose the scheduler, whoever launched them
get_config().set("core", "default_scheduler_url", address().replace("%", "%%"))
