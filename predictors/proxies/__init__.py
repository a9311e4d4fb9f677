"""Zero-cost proxies: numbers of an untrained network that go along with its accuracy once it is trained."""

from predictors.proxies import cost, expressivity, gradients, removal, synflow, zen  # noqa: F401  (they register)
from predictors.proxies.features import ProxyFeatures
from predictors.proxies.population import Batch, ProxyScores, RandomBatch, proxy_row
from predictors.proxies.registry import PROXIES, Proxy, register
from predictors.proxies.score import ProxyScore, score_proxies
from predictors.proxies.subject import Subject, Undefined
from predictors.proxies.vote import mean_rank, warm_start

__all__ = [
    "PROXIES",
    "Batch",
    "Proxy",
    "ProxyFeatures",
    "ProxyScore",
    "ProxyScores",
    "RandomBatch",
    "Subject",
    "Undefined",
    "mean_rank",
    "proxy_row",
    "register",
    "score_proxies",
    "warm_start",
]
