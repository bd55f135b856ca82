"""Adoption: an existing app dir comes under the template, and its values, secrets, database and data stay."""
