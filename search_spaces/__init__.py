"""What can be chosen: choices, architectures, operators and the weight-sharing supernet."""

from search_spaces.additive import Additive
from search_spaces.architecture import Architecture, Node
from search_spaces.build import Cost, build_operator, cost, macs
from search_spaces.errors import SpaceError
from search_spaces.space import Choice, SearchSpace, Slot, row_keys
from search_spaces.spaces import get_space, make_space, presets, space_names
from search_spaces.spec import OperatorSpec
from search_spaces.supernet import Network, Supernet, build_network

__all__ = [
    "Additive",
    "Architecture",
    "Choice",
    "Cost",
    "Network",
    "Node",
    "OperatorSpec",
    "SearchSpace",
    "Slot",
    "SpaceError",
    "Supernet",
    "build_network",
    "build_operator",
    "cost",
    "get_space",
    "macs",
    "make_space",
    "presets",
    "row_keys",
    "space_names",
]
