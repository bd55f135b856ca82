"""The shop's own part of the database."""
