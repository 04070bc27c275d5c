"""Figures as the cells of their page draw them."""

import ast
from pathlib import Path

import jupytext


def figures(page: Path) -> dict[str, object]:
    """What the last line of each cell with a figure gives, by the name of the figure."""
    space, found = {}, {}
    for cell in jupytext.read(page, fmt="md:myst").cells:
        if cell.cell_type != "code":
            continue
        source = "\n".join(line for line in cell.source.split("\n") if line[:1] not in "!%")
        if not source.strip():  # commands of a shell alone
            continue
        *before, last = ast.parse(source).body
        exec(compile(ast.Module(before, []), page.name, "exec"), space)
        if name := cell.metadata.get("mystnb", {}).get("figure", {}).get("name"):
            code = compile(ast.Expression(last.value), page.name, "eval")
            found[name] = eval(code, space)
        else:
            exec(compile(ast.Module([last], []), page.name, "exec"), space)
    return found
