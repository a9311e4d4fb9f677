"""The one exception of this floor."""


class SpaceError(ValueError):
    """A search space, architecture or operator was asked for something illegal.

    The message names the argument, what came and what is legal.
    """
