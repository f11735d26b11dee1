"""Pack a student: ONNX graph, int8, parity with the trained weights, the model folder."""

from potstill.export.deferral import certifying_rows
from potstill.export.student import ExportableStudent, Exported, export_student

__all__ = ["ExportableStudent", "Exported", "certifying_rows", "export_student"]
