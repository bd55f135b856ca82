"""The shop's own reports, one per file; the page "Poser Reports" can add more."""
