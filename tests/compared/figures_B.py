"""Figures as their chapters draw them, by name: the cells of the chapters are run here."""

import ast
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ("01_scaling_disparity", "02_models_and_memory", "03_since_the_paper")


def figures(chapter: str) -> dict[str, object]:
    """What the last line of each cell with a figure gives, by the name of the figure."""
    space, found = {}, {}
    notebook = jupytext.read(ROOT / "notebooks" / f"{chapter}.md", fmt="md:myst")
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        *before, last = ast.parse(cell.source).body
        exec(compile(ast.Module(before, []), chapter, "exec"), space)
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure:
            found[figure["name"]] = eval(
                compile(ast.Expression(last.value), chapter, "eval"), space
            )
        else:
            exec(compile(ast.Module([last], []), chapter, "exec"), space)
    return found


def plots() -> dict[str, object]:
    return {name: plot for chapter in CHAPTERS for name, plot in figures(chapter).items()}
