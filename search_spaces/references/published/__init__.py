"""Operators against implementations from other packages, with the same weights in both."""
