"""The converter's side of `litert_convert`: a script for the converter's own environment, which imports nothing of ours.

Usage: python litert_script.py FOLDER PRECISION. For every NAME.pt2 in the folder, a program of `torch.export`, it writes
NAME.tflite and, for int8, NAME.int8 beside it; or NAME.error with the reason.
"""

import re
import sys
import traceback
import warnings
from pathlib import Path


def convert(program: Path) -> bytes:
    """The program as an fp32 model."""
    import litert_torch
    import torch

    exported = torch.export.load(str(program))
    inputs, _ = exported.example_inputs
    return bytes(litert_torch.convert(exported.module(), inputs).model_content())


def quantize(model: bytes) -> bytes:
    """The model with int8 weights and activations that are quantized at run time."""
    from ai_edge_quantizer import quantizer, recipe

    return bytes(quantizer.Quantizer(model, recipe.dynamic_wi8_afp32()).quantize().quantized_model)


def cause(error: BaseException) -> str:
    """Kind and first line of the error at the root (those raised from it wrap it in advice), and the operator at fault."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\S+:\d+:\d+: error: ", "", str(error))  # where in the module's source it was traced
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    operator = re.search(r"target=torch\.ops\.([\w.]+)", text)
    return f"{reason} (in {operator[1]})" if operator and operator[1] not in reason else reason


def main(folder: Path, precision: str) -> None:
    """Convert all programs of the folder, in the order of their names."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for program in sorted(folder.glob("*.pt2")):
        try:
            model = convert(program)
            if precision == "int8":
                program.with_suffix(".int8").write_bytes(quantize(model))
            program.with_suffix(".tflite").write_bytes(model)
        except Exception as error:
            traceback.print_exc()
            program.with_suffix(".error").write_text(cause(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
