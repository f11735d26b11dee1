"""Pack a student: ONNX graph, int8, parity with the trained weights, the model folder."""

from potstill.export.student import ExportableStudent, Exported, export_student

__all__ = ["ExportableStudent", "Exported", "export_student"]
