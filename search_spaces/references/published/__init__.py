"""Operators against implementations from other packages, with the same weights in both."""

from search_spaces.references.published.packages import mend_torchvision

mend_torchvision()  # before any of the comparisons imports a package that imports it
