"""Pack a student: ONNX graph, int8, parity with the trained weights, the model folder."""

from potstill.export.deferral import certifying_rows
from potstill.export.extraction import ExportableExtractor, export_extractor
from potstill.export.footprint import footprint, footprint_of_windows
from potstill.export.picker import ExportablePicker, export_picker
from potstill.export.student import ExportableStudent, Exported, export_student
from potstill.export.writer import ExportableWriter, export_writer

__all__ = [
    "ExportableExtractor",
    "ExportablePicker",
    "ExportableStudent",
    "ExportableWriter",
    "Exported",
    "certifying_rows",
    "export_extractor",
    "export_picker",
    "export_student",
    "export_writer",
    "footprint",
    "footprint_of_windows",
]
