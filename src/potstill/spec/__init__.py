"""What is wanted: task and workflow files, their shapes, and the one reader of YAML."""

from potstill.spec.loading import LoadedTask, LoadedWorkflow, kind_of, load_task, load_workflow
from potstill.spec.schema import task_json_schema, workflow_json_schema
from potstill.spec.task import Task
from potstill.spec.template import task_template
from potstill.spec.workflow import WorkflowSpec

__all__ = [
    "LoadedTask",
    "LoadedWorkflow",
    "Task",
    "WorkflowSpec",
    "kind_of",
    "load_task",
    "load_workflow",
    "task_json_schema",
    "task_template",
    "workflow_json_schema",
]
