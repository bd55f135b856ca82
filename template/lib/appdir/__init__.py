"""The commands of the app dir.  They use the standard library alone until the packages are installed."""
