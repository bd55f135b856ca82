"""Yours. Luigi tasks of this app; `copier update` never changes a file in this folder."""
