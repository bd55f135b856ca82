"""Configs: reads old ones as the software does, and edits new ones without losing comments and order."""

import configparser
import re

from configupdater import ConfigUpdater

from adopt.tools import fail


def read(path):
    """Return an old config as a parser that keeps its values as they are written."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    try:
        parser.read_string(path.read_text())
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]  # the next lines show what is in the file, maybe a secret
        if isinstance(error, configparser.ParsingError):
            reason += f" (line {getattr(error, 'lineno', None) or error.errors[0][0]})"
        fail(f"{path.name} cannot be read; fix it first: {reason}")
    if parser.defaults():
        fail(f"{path.name} has a section [DEFAULT]; write its values where they are used, and remove it")
    return parser


def parse(text):
    """Return the text of a config as an editor, which gives the text back as it was."""
    config = ConfigUpdater()
    config.optionxform = str
    config.read_string(text)
    return config


def get(config, section, key, fallback=None):
    """Return a value of an editor."""
    if not config.has_option(section, key):
        return fallback
    return "\n".join(line.strip() for line in (config[section][key].value or "").splitlines())


def put(config, section, key, value):
    """Set a value in an editor; None removes it. A new key comes after the last one of its section."""
    if value is None:
        if config.has_section(section):
            config.remove_option(section, key)
        return
    if not config.has_section(section):
        if config.sections():
            config[config.sections()[-1]].add_after.space(1).section(section)
        else:
            config.add_section(section)
    if not config.has_option(section, key):
        options = config[section].option_blocks()
        options[-1].add_after.option(key) if options else config.set(section, key)
    config[section][key].set_values(value.split("\n"), indent="    ", prepend_newline=False)


def words(value):
    """Return the items of a value that is a list."""
    return [item for item in re.split(r"[\s,]+", value) if item]
