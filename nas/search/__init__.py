"""Search: ask/tell searchers, Pareto tools, feasible sampling and controls. Quality grows, latency shrinks."""

from nas.search.base import Problem, Searcher, get_searcher, register, searcher_names
from nas.search.candidates import check_feasible
from nas.search.controls import control_names, control_searcher, control_spaces
from nas.search.driver import SearchResult, run_search
from nas.search.nsga2 import NSGA2
from nas.search.predictor_nsga2 import PredictorNSGA2
from nas.search.random_search import RandomSearch

__all__ = [
    "NSGA2",
    "PredictorNSGA2",
    "Problem",
    "RandomSearch",
    "SearchResult",
    "Searcher",
    "check_feasible",
    "control_names",
    "control_searcher",
    "control_spaces",
    "get_searcher",
    "register",
    "run_search",
    "searcher_names",
]
