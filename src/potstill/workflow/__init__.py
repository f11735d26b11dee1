"""Models in company: a typed graph of small models, teachers and steps that answers as one."""

from potstill.workflow.graph import Graph
from potstill.workflow.reading import read_graph
from potstill.workflow.trace import NodeTrace, Traced
from potstill.workflow.workflow import Workflow

__all__ = ["Graph", "NodeTrace", "Traced", "Workflow", "read_graph"]
