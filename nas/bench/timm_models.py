"""What timm's models consist of, told without their weights: their family, and the work of each kind of operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nas.errors import JobError
from nas.progress import Progress
from search_spaces.references.published.packages import package_module

MILLION = 1e6
KINDS = (
    "pointwise",
    "depthwise",
    "grouped",
    "convolution",
    "linear",
    "matmul",
    "softmax",
    "norm",
    "pool",
    "move",
    "map",
)
FEATURES = tuple(f"{kind}_{what}" for kind in KINDS for what in ("calls", "mmacs", "mactivations"))

_LOOKUPS = ("index", "_unsafe_index", "gather", "upsample", "im2col")
# starts of the names of PyTorch's operators -> kind; what is none of these works element by element ("map")
_NAMES = {
    "softmax": ("_softmax", "_safe_softmax", "log_softmax"),
    "norm": ("native_", "_native_batch_norm", "cudnn_batch_norm", "rms_norm"),
    "pool": ("mean", "max_pool", "avg_pool", "_adaptive", "adaptive", "amax", "sum", "linalg_vector_norm", "var"),
    "move": ("clone", "copy", "_to_copy", "cat", "stack", "repeat", "constant_pad", "roll", *_LOOKUPS),
}
_SHAPES = (
    "view",
    "_unsafe_view",
    "reshape",
    "permute",
    "transpose",
    "t",
    "expand",
    "squeeze",
    "unsqueeze",
    "as_strided",
)
_PARTS = ("split", "split_with_sizes", "chunk", "slice", "select", "unbind", "unfold", "detach", "alias", "lift_fresh")
_MADE = ("empty", "zeros", "ones", "full", "arange", "linspace", "new_", "scalar_tensor", "_local_scalar_dense")


def add_static_columns(
    table: pd.DataFrame, model: str, size: str, progress: Progress
) -> tuple[pd.DataFrame, list[str]]:
    """The table with ``family`` and `FEATURES` for each row, and the models that could not be told (their rows are left out).

    family: timm's module that defines the model, e.g. ``vision_transformer``: variants that share code are one family. For
    each kind of operator: calls, millions of multiply-accumulates, and millions of elements written, for one square image.

    Args:
        model, size: its columns of names, with or without a tag after a dot, and of the image's side.

    Raises:
        JobError: timm is not installed, or a column is missing.
    """
    for option, column in (("--model", model), ("--size", size)):
        if column not in table.columns:
            raise JobError(f"{option}: got {column!r}; legal: {', '.join(map(str, table.columns))}")
    try:
        timm = package_module("timm")
    except ModuleNotFoundError:
        raise JobError("nas bench timm-models: timm is not installed; pip install timm") from None
    modules = package_module("timm.models._registry")._model_to_module
    pairs = list(table[[model, size]].drop_duplicates().itertuples(index=False, name=None))
    advance = progress.task("models", len(pairs))
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for done, (name, side) in enumerate(pairs, 1):
        plain = str(name).partition(".")[0]
        found = operators_of(timm, plain, int(side)) if plain in modules else None
        if found is None:
            failed.append(f"{name} at {side}")
        else:
            rows.append({model: name, size: side, "family": modules[plain], **found})
        advance(done)
    columns = [model, size, "family", *FEATURES]
    return table.merge(pd.DataFrame(rows, columns=columns), on=[model, size]), failed


def operators_of(timm: Any, name: str, side: int) -> dict[str, float] | None:
    """`FEATURES` of a model, run on shapes alone ("meta" device); None where timm cannot build it for that side."""
    for more in ({}, {"img_size": side}):
        try:
            with torch.device("meta"), torch.no_grad():
                network = timm.create_model(name, **more).eval()
                counter = _Counter()
                with counter:
                    network(torch.zeros(1, 3, side, side))
        except Exception:  # other people's code: whatever it raises, it cannot be told
            continue
        return {feature: float(counter.found[feature]) for feature in FEATURES}
    return None


class _Counter(TorchDispatchMode):
    """Adds up what every operator does, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.found: defaultdict[str, float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        first = out[0] if isinstance(out, (tuple, list)) and out else out
        name = func.overloadpacket.__name__
        if isinstance(first, torch.Tensor) and name not in (*_SHAPES, *_PARTS) and not name.startswith(_MADE):
            kind, macs = _work(name, args, first)
            self.found[f"{kind}_calls"] += 1
            self.found[f"{kind}_mmacs"] += macs / MILLION
            self.found[f"{kind}_mactivations"] += first.numel() / MILLION
        return out


def _work(name: str, args: Sequence[Any], out: torch.Tensor) -> tuple[str, float]:
    """Kind and multiply-accumulates."""
    if name == "convolution":
        weight, groups = args[1], args[8]
        macs = out.numel() * weight[0].numel() if not args[6] else args[0].numel() * weight[0].numel()
        if groups == 1:
            return ("pointwise" if weight[0, 0].numel() == 1 else "convolution"), macs
        return ("depthwise" if weight.shape[1] == 1 else "grouped"), macs
    if name in ("addmm", "mm"):
        return "linear", out.numel() * args[-2].shape[-1]
    if name in ("bmm", "baddbmm"):
        return "matmul", out.numel() * args[-2].shape[-1]
    if "scaled_dot_product" in name:
        query, key = args[:2]
        return "matmul", 2.0 * query.numel() * key.shape[-2]
    for kind, starts in _NAMES.items():
        if name.startswith(starts):
            return kind, 0.0
    return "map", 0.0
