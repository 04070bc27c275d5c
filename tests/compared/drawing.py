"""Figures and tables as the cells of their page make them."""

import ast
from pathlib import Path

import jupytext

NOTHING = ast.parse("None").body[0]


def figures(page: Path) -> dict[str, object]:
    """The figures of a page by name."""
    return {name: shown for name, shown in outputs(page) if name}


def outputs(page: Path) -> list[tuple[str, object]]:
    """What the last line of each cell gives, with the name of the figure, where it is one."""
    space, found = {}, []
    for cell in jupytext.read(page, fmt="md:myst").cells:
        if cell.cell_type != "code":
            continue
        source = "\n".join(line for line in cell.source.split("\n") if line[:1] not in "!%")
        if not source.strip():  # commands of a shell alone
            continue
        lines = ast.parse(source).body
        *before, last = lines if isinstance(lines[-1], ast.Expr) else [*lines, NOTHING]
        exec(compile(ast.Module(before, []), page.name, "exec"), space)
        value = eval(compile(ast.Expression(last.value), page.name, "eval"), space)
        found.append((cell.metadata.get("mystnb", {}).get("figure", {}).get("name", ""), value))
    return found
