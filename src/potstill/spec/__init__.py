"""What is wanted: task, workflow and recipe files, their shapes, and the one reader of YAML."""

from potstill.spec.loading import (
    LoadedRecipe,
    LoadedTask,
    LoadedWorkflow,
    kind_of,
    load_recipe,
    load_task,
    load_workflow,
)
from potstill.spec.recipe import Recipe
from potstill.spec.schema import recipe_json_schema, task_json_schema, workflow_json_schema
from potstill.spec.task import Task
from potstill.spec.template import task_template
from potstill.spec.workflow import WorkflowSpec

__all__ = [
    "LoadedRecipe",
    "LoadedTask",
    "LoadedWorkflow",
    "Recipe",
    "Task",
    "WorkflowSpec",
    "kind_of",
    "load_recipe",
    "load_task",
    "load_workflow",
    "recipe_json_schema",
    "task_json_schema",
    "task_template",
    "workflow_json_schema",
]
