"""Zero-cost proxies on a user's data and from the command line."""
