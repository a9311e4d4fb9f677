"""The report of a run: tables for the terminal, plots, one self-contained HTML page and a still picture."""
