"""Every code block of the pages runs, in the order of the page."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from potstill.spec import load_task, load_workflow

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ["docs/tutorial.md"]
TASK = re.compile(r"^```yaml\n(kind: task\n.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    commands = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks, "a page without a block would prove nothing"
    for language, block in blocks:
        done = subprocess.run(
            [*commands[language], block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_the_task_of_the_readme_is_one(tmp_path):
    [task] = TASK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    (tmp_path / "task.yaml").write_text(task)
    assert load_task(tmp_path / "task.yaml", check_files=False).task.name == "triage"


def test_the_tasks_and_workflows_of_the_examples_load():
    files = list(ROOT.glob("examples/*/*.yaml"))
    workflows = [file for file in files if file.name == "workflow.yaml"]
    assert len(files) > len(workflows) > 0
    for file in files:
        (load_workflow if file in workflows else load_task)(file)


def test_generated_pages_are_fresh():
    script = ROOT / "scripts" / "write_reference.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"
