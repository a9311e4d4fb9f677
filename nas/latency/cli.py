"""`nas profile`, `nas latency` and `nas devices ...`: one thin function a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nas.options import AsJson

DeviceName = Annotated[str, typer.Option("--device", help="where it runs; `nas devices` lists the described ones")]

devices_app = typer.Typer(help="List, add and check devices.", rich_markup_mode=None)


def latency(
    architectures: Annotated[
        Path | None, typer.Argument(metavar="ARCHITECTURES", help="JSON file: one architecture or a list")
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(
            "--table",
            help="a latency table, a calibration or a run directory; repeat for more devices. With --calibrate: tables of "
            "known devices; those that come with the project if none",
        ),
    ] = None,
    calibrate: Annotated[
        int | None,
        typer.Option(help="measure so many whole networks on --device, which has no table, and predict from them"),
    ] = None,
    device: Annotated[str | None, typer.Option(help="with --calibrate: where it runs; default local")] = None,
    runtime: Annotated[str | None, typer.Option(help="with --calibrate: default onnxruntime")] = None,
    precision: Annotated[str | None, typer.Option(help="with --calibrate: default fp32")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="with --calibrate: default 1")] = None,
    validate: Annotated[
        int | None, typer.Option(help="with --calibrate: measure so many more, only to judge the predictions")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="with --calibrate: its folder; default calibrations/DEVICE-RUNTIME-PRECISION"),
    ] = None,
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="with --calibrate: print the plan, measure nothing")
    ] = False,
) -> None:
    """Predict the latency of one architecture, or of a file of them, on one or more devices, with 90 % intervals.

    A device has a latency table (`nas profile`), or, cheaper and less exact, a calibration: `nas latency --device NAME
    --calibrate 10` chooses ten whole networks, measures them there, and predicts from them and from tables of other devices.
    """
    from nas.errors import JobError
    from nas.latency.query import latency_rows, print_latency, read_architectures

    if calibrate is not None:
        from nas.latency.calibrate_command import CalibrationOptions, calibrate_and_answer

        asked = read_architectures(architectures) if architectures is not None else []
        options = CalibrationOptions(calibrate, validate, device, runtime, precision, threads, out, table or [])
        calibrate_and_answer(options, asked, dry_run, as_json)
        return
    given = {"device": device, "runtime": runtime, "precision": precision, "threads": threads}
    for name, value in {**given, "validate": validate, "out": out, "dry-run": dry_run or None}.items():
        if value is not None:
            raise JobError(f"--{name}: belongs to --calibrate; legal: --calibrate N with it, or a --table to ask alone")
    if architectures is None:
        raise JobError("ARCHITECTURES: is missing; legal: a JSON file with an architecture or a list of them")
    if not table:
        raise JobError(
            "--table: is missing; legal: a latency table, a calibration or a run directory, or --calibrate N"
        )
    rows = latency_rows(read_architectures(architectures), table)
    print_latency(rows, as_json, Console())


def profile(
    out: Annotated[Path, typer.Option(help="folder of the table")],
    space: Annotated[
        str | None, typer.Option(help="search space, e.g. hybrid-vision/tiny; `nas spaces` lists them")
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="what runs the operators; `nas devices` lists them")] = None,
    device: DeviceName = "local",
    precision: Annotated[
        str, typer.Option(help="number format: fp32, bf16, fp16, int8, as the runtime has it")
    ] = "fp32",
    threads: Annotated[int, typer.Option(min=1, help="threads of the runtime")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="images or sequences a call")] = 1,
    mode: Annotated[str, typer.Option(help="a call: forward (whole inputs), or decode (one token)")] = "forward",
    operators: Annotated[int, typer.Option(min=1, help="operator specs to measure at most")] = 220,
    fit: Annotated[int, typer.Option(min=20, max=5000, help="whole networks that fit the correction")] = 80,
    validate: Annotated[int, typer.Option(min=30, help="other whole networks that judge the table")] = 50,
    error: Annotated[float, typer.Option(min=0.0, max=1.0, help="stop probing at this expected error")] = 0.02,
    minutes: Annotated[float, typer.Option(min=0.0, help="stop probing in time to be done within these")] = 15.0,
    without: Annotated[
        list[str] | None, typer.Option(help="a mixer to leave out, as the runtime refuses it; repeat for more")
    ] = None,
    resolution: Annotated[list[int] | None, typer.Option(help="input side; repeat for more")] = None,
    context: Annotated[list[int] | None, typer.Option(help="tokens a sequence; repeat for more")] = None,
    in_channels: Annotated[int | None, typer.Option(help="channels of the images")] = None,
    classes: Annotated[int | None, typer.Option(help="classes")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="measure a few operators of the table OUT again: is it still true? exit 1 if not"),
    ] = False,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan, measure nothing")] = False,
) -> None:
    """Measure a latency table for a space on a device, and validate it on whole networks it was not fitted to."""
    from nas.errors import JobError
    from nas.latency.profile_command import ProfileRequest, mixers_without, profile_space, recheck
    from search_spaces import get_space, make_space

    if check:
        if not recheck(out, device, as_json, Console()):
            raise typer.Exit(1)
        return
    for name, value in (("--space", space), ("--runtime", runtime)):
        if value is None:
            raise JobError(f"{name}: is missing; legal: a name, or --check with the folder of a table")
    assert space is not None
    assert runtime is not None
    shape = {"resolutions": resolution, "context": context, "in_channels": in_channels, "classes": classes}
    base = get_space(space)
    changes: dict[str, Any] = {key: value for key, value in shape.items() if value}
    if without:
        changes["mixers"] = mixers_without(base, without)
    chosen = make_space({**base.definition, **changes})
    request = ProfileRequest(
        chosen, runtime, out, device, precision, threads, batch, mode, operators, fit, validate, error, minutes
    )
    profile_space(request, dry_run, as_json, Console())


@devices_app.callback(invoke_without_command=True)
def devices(context: typer.Context, as_json: AsJson = False) -> None:
    """List this machine's devices, the runtimes that work on them, and the devices that you described."""
    if context.invoked_subcommand is None:
        from nas.latency.devices import print_devices

        print_devices(as_json, Console())


@devices_app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="names the device in jobs and tables")],
    ssh: Annotated[str | None, typer.Option(help="host as ssh takes it, e.g. pi@raspberrypi")] = None,
    port: Annotated[int | None, typer.Option(help="port of ssh")] = None,
    adb: Annotated[str | None, typer.Option(help="serial as `adb devices` lists it, or HOST:PORT")] = None,
    folder: Annotated[str, typer.Option(help="folder on the device for programs")] = "/tmp/nas",
    cpus: Annotated[str | None, typer.Option(help="cores to pin to, e.g. 4,5,6,7")] = None,
    python: Annotated[
        str, typer.Option(help="Python there, for its own ONNX Runtime or LiteRT; ExecuTorch needs none")
    ] = "python3",
    emulated: Annotated[bool, typer.Option("--emulated", help="mark its times as those of no real device")] = False,
) -> None:
    """Describe a device: reach it, run an operator there, and keep the description (in your settings, no project)."""
    from nas.latency.devices import add_device, describe_device

    add_device(describe_device(name, ssh, port, adb, folder, cpus, python, emulated), Console())
