"""Export: a found architecture as a stand-alone package, proved equal to what was searched."""
