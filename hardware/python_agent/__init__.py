"""What a device with Python runs: models of ONNX Runtime and LiteRT, timed by the device itself.

This folder is sent to the device as it is, so it imports nothing of the project and nothing newer than Python 3.8; NumPy and
the runtime are the device's own.
"""
