"""The shop's own code.

This folder is yours: written once, and never touched by an update of the template.

db/model      own tables, beside all of Rattail's
db/alembic    how an own table comes into the database
exports.py    files that the shop sends to others
handlers.py   what the shop answers when Rattail asks, such as who may do what
reports       own reports, one per file
web/views     own pages, one file for each kind of record
web/menus.py  the menu
"""
