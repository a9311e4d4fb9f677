"""Export: a found architecture as a stand-alone package, proved equal to what was searched."""

from nas.export.package import export_package
from nas.export.parity import Parity, compare
from nas.export.source import network_source

__all__ = ["Parity", "compare", "export_package", "network_source"]
