"""What a device is and how long a module takes on it. Knows modules and keys, not search spaces."""

from hardware.device import Device, conditions
from hardware.errors import HardwareError
from hardware.measure import measure
from hardware.measurement import Measurement, MeasurementList
from hardware.paired import PairedMeasurement, measure_paired
from hardware.runtimes import Runtime, export_onnx, get_runtime, register_runtime, runtime_names
from hardware.settings import MeasureSettings
from hardware.table import LatencyTable

__all__ = [
    "Device",
    "HardwareError",
    "LatencyTable",
    "MeasureSettings",
    "Measurement",
    "MeasurementList",
    "PairedMeasurement",
    "Runtime",
    "conditions",
    "export_onnx",
    "get_runtime",
    "measure",
    "measure_paired",
    "register_runtime",
    "runtime_names",
]
