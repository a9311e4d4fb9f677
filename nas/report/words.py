"""How numbers and names read, the same in the terminal, in plots and on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nas.metric import Metric

UNKNOWN = "–"
SEARCHES = {
    "random": "random search",
    "local-search": "local search",
    "conv": "convolution only",
    "attention": "attention only",
    "ssm": "state space only",
    "no-ssm": "no state space",
    "linear-attention": "linear attention only",
}


def known(value: float | None) -> bool:
    """Whether there is a number: neither None nor NaN."""
    return value is not None and not math.isnan(value)


def percent(value: float | None, digits: int = 1) -> str:
    """0.9734 -> '97.3 %'."""
    return f"{100 * value:.{digits}f} %" if value is not None and known(value) else UNKNOWN


def ms(value: float | None) -> str:
    """A latency without its unit, three significant digits and never an exponent."""
    if value is None or not known(value):
        return UNKNOWN
    if value <= 0:
        return "0"
    return f"{value:.{min(max(2 - math.floor(math.log10(value)), 0), 6)}f}"


def ms_interval(value: float | None, low: float | None, high: float | None) -> str:
    """'0.310 [0.290, 0.330]'; the bracket is left out where the interval is not known."""
    if not known(value):
        return UNKNOWN
    return f"{ms(value)} [{ms(low)}, {ms(high)}]" if known(low) and known(high) else ms(value)


def quality(value: float | None, metric: Metric) -> str:
    """'97.3 %' or '2.134'."""
    return metric.text(value) if value is not None and known(value) else UNKNOWN


def between(low: float, high: float, metric: Metric, word: str = ", ") -> str:
    """'96.1, 98.2', without the unit."""
    return word.join(f"{metric.scale * end:.{metric.digits}f}" for end in (low, high))


def quality_interval(value: float | None, low: float | None, high: float | None, metric: Metric) -> str:
    """'97.3 % [96.1, 98.2]'."""
    if value is None or low is None or high is None or not known(value):
        return UNKNOWN
    text = metric.text(value)
    return f"{text} [{between(low, high, metric)}]" if known(low) and known(high) else text


def plus_minus(value: float, low: float, high: float, metric: Metric) -> str:
    """'97.3 ±1.1 %' with no-break spaces, the larger side of an uneven interval."""
    if not known(value):
        return UNKNOWN
    if not (known(low) and known(high)):
        return metric.text(value)
    half = f"{metric.scale * max(value - low, high - value):.{metric.digits}f}"
    return f"{metric.scale * value:.{metric.digits}f}\u00a0±{half}{metric.unit}".replace(" ", "\u00a0")


def ms_plus_minus(value: float, low: float, high: float) -> str:
    """'0.310 ±0.020' with a no-break space, the larger side of an uneven interval."""
    if not (known(value) and known(low) and known(high)):
        return ms(value)
    digits = len(ms(value).partition(".")[2])
    return f"{ms(value)}\u00a0±{max(value - low, high - value):.{digits}f}"


def ms_change(value: float, low: float, high: float) -> str:
    """'+0.123 ±0.020' with a no-break space, two digits of what it may be off; '+0.123' where that is not known."""
    half = (high - low) / 2
    if not half > 0:
        return f"{value:+.3g}"
    digits = max(1 - math.floor(math.log10(half)), 0)
    return f"{value:+.{digits}f}\u00a0±{half:.{digits}f}"


def count(value: float) -> str:
    """1234567 -> '1.23 M'."""
    if not known(value):
        return UNKNOWN
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def search_label(search: str, main: str) -> str:
    """What a search is called in a legend; ``main`` is the searcher under test."""
    return f"{search} (the search)" if search == main else SEARCHES.get(search, search)


def plural(number: int, noun: str) -> str:
    """'1 network', '2 networks'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plain(value: Any) -> str:
    """A value for reading: floats to four digits, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if known(value) else UNKNOWN
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ") if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return UNKNOWN if value is None else str(value)
