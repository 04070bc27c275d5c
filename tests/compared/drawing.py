"""Figures and tables as the cells of their page make them."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import jupytext

from analysis.compared import claims

NOTHING = ast.parse("None").body[0]
OURS = {}


@contextmanager
def judged_once(*runs) -> Iterator[None]:
    """Within, each claim is computed once by data and by each of `runs`, which stay as they are."""
    true = claims.ours

    def ours(claim, source):
        if source is not None and not any(source is run for run in runs):
            return true(claim, source)
        key = claim.id, id(source)
        if key not in OURS:
            OURS[key] = true(claim, source), source  # kept, so that no other has its id
        return OURS[key][0]

    with mock.patch.object(claims, "ours", ours):
        yield


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
