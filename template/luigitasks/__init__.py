"""Yours. Luigi tasks of this app; updates never touch a file in this folder."""
