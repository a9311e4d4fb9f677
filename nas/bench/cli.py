"""`nas bench ...`: one thin function a claim."""

from __future__ import annotations

import typer

from nas.bench.calibration_cli import calibrate
from nas.bench.in_device_cli import in_device
from nas.bench.latency_cli import link, runtimes, tables
from nas.bench.learning_curves_cli import learning_curves, train_curves
from nas.bench.predictors_cli import accuracy_predictor, latency_transfer
from nas.bench.proxies_cli import proxies
from nas.bench.recipes_cli import train_recipes
from nas.bench.runs_cli import evidence, mutations, resume
from nas.bench.search_cli import constraints, engine, search, searchers, steady
from nas.bench.supernet_cli import cores, operators, ranks, recall, slices, slicing_cost
from nas.bench.throughput_cli import throughput
from nas.bench.timm_cli import timm_models

app = typer.Typer(
    help="This project's claims, as commands that anyone can run.", no_args_is_help=True, rich_markup_mode=None
)
OF_THE_SUPERNET = (operators, slices, slicing_cost, cores, recall, ranks)
OF_PREDICTORS = (accuracy_predictor, proxies, learning_curves, train_curves, train_recipes, throughput)
OF_LATENCY = (latency_transfer, in_device, timm_models, calibrate, tables, runtimes, link)
OF_SEARCH = (search, searchers, steady, engine, constraints)
OF_RUNS = (resume, mutations, evidence)

for command in (*OF_THE_SUPERNET, *OF_PREDICTORS, *OF_LATENCY, *OF_SEARCH, *OF_RUNS):
    app.command()(command)
