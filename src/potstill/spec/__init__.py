"""What is wanted: task files, their shapes, and the one reader of YAML."""

from potstill.spec.loading import LoadedTask, load_task
from potstill.spec.schema import task_json_schema
from potstill.spec.task import Task
from potstill.spec.template import task_template

__all__ = ["LoadedTask", "Task", "load_task", "task_json_schema", "task_template"]
