"""Latency tables of search spaces: measuring, checking and asking them, and the devices they are measured on."""
