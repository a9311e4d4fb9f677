"""The converter's side of `litert_convert`: a script for the converter's own environment, which imports nothing of ours.

Usage: python litert_script.py FOLDER PRECISION. For every NAME.pt2 in the folder, a program of `torch.export`, it writes
NAME.tflite, or NAME.error with the reason.
"""

import re
import sys
import traceback
import warnings
from pathlib import Path


def convert(program: Path, precision: str) -> bytes:
    """The program as a model; precision: fp32, or int8 weights with activations that are quantized at run time."""
    import litert_torch
    import torch

    exported = torch.export.load(str(program))
    inputs, _ = exported.example_inputs
    model = litert_torch.convert(exported.module(), inputs).model_content()
    if precision == "int8":
        from ai_edge_quantizer import quantizer, recipe

        model = bytes(quantizer.Quantizer(model, recipe.dynamic_wi8_afp32()).quantize().quantized_model)
    return model


def cause(error: BaseException) -> str:
    """Kind and first line of the error at the root: the ones raised from it wrap it in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\S+:\d+:\d+: error: ", "", str(error))  # where in the module's source it was traced
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def main(folder: Path, precision: str) -> None:
    """Convert all programs of the folder, in the order of their names."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for program in sorted(folder.glob("*.pt2")):
        try:
            program.with_suffix(".tflite").write_bytes(convert(program, precision))
        except Exception as error:
            traceback.print_exc()
            program.with_suffix(".error").write_text(cause(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
