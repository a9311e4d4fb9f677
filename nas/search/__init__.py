"""Search: ask/tell searchers, Pareto tools, feasible sampling and controls."""

from nas.search.assembly import Assembly
from nas.search.base import Searcher, get_searcher, register, searcher_names
from nas.search.candidates import check_feasible
from nas.search.controls import control_names, control_searcher, control_spaces
from nas.search.differentiable import Differentiable
from nas.search.driver import SearchResult, drive, run_search
from nas.search.evolution import RegularisedEvolution
from nas.search.halving import Halving
from nas.search.local_search import LocalSearch
from nas.search.nsga2 import NSGA2
from nas.search.nsga3 import NSGA3
from nas.search.predictor_nsga2 import PredictorNSGA2
from nas.search.problem import Problem
from nas.search.random_search import RandomSearch
from nas.search.slimming import Slimming
from nas.search.zero_cost import ZeroCost

__all__ = [
    "NSGA2",
    "NSGA3",
    "Assembly",
    "Differentiable",
    "Halving",
    "LocalSearch",
    "PredictorNSGA2",
    "Problem",
    "RandomSearch",
    "RegularisedEvolution",
    "SearchResult",
    "Searcher",
    "Slimming",
    "ZeroCost",
    "check_feasible",
    "control_names",
    "control_searcher",
    "control_spaces",
    "drive",
    "get_searcher",
    "register",
    "run_search",
    "searcher_names",
]
