"""Refuse modules over 500 lines, and say which ones pass 300."""

from __future__ import annotations

import sys
from pathlib import Path

CEILING, GOAL = 500, 300


def main() -> int:
    """Print what is long; exit 1 when something is too long."""
    root = Path(__file__).parent.parent
    lengths = {
        file.relative_to(root): len(file.read_text(encoding="utf-8").splitlines())
        for folder in ("src", "tests", "benchmarks", "scripts")
        for file in sorted((root / folder).rglob("*.py"))
    }
    for file, lines in lengths.items():
        if lines > GOAL:
            print(f"{file}: {lines} lines{', over the ceiling' if lines > CEILING else ''}")
    return int(any(lines > CEILING for lines in lengths.values()))


if __name__ == "__main__":
    sys.exit(main())
