"""What can be chosen: the operators and the search spaces, listed, described and checked."""
