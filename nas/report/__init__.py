"""The report of a run: tables for the terminal, plots, one self-contained HTML page and a still picture."""

from nas.report.contents import DeviceReport, Report
from nas.report.page import render_html
from nas.report.picture import front_png
from nas.report.tables import front_markdown, front_table, hypervolume_summary, operator_mix, wilson

__all__ = [
    "DeviceReport",
    "Report",
    "front_markdown",
    "front_png",
    "front_table",
    "hypervolume_summary",
    "operator_mix",
    "render_html",
    "wilson",
]
