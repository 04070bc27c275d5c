"""Numbers in prose come from the cells of their page, and every number handed over is used."""

import json
import re

import jupytext
import pytest

# Alternative text is among the options of figures and is exempt: glue cannot reach it.
NOT_PROSE = [
    re.compile(pattern, re.MULTILINE | re.DOTALL)
    for pattern in (
        r"^ *:{3,}(?:\{[\w-]+\})?",
        r"^ *:[\w-]+:[^\n]*$",  # options of directives
        r"<!--.*?-->|^%[^\n]*$",
        r"\$\$.*?\$\$(?: *\([\w-]+\))?|(?<!\\)\$[^$\n]+\$",
        r"(?:\{[\w:+.-]+\})?(`+).+?\1",  # roles and inline code
        r"^\([\w-]+\)=$|(?<=\])\([^)\s]*\)|<https?:[^>]*>",  # labels, and where links lead
        r"^ *\d+\.(?= )",  # items of a numbered list
    )
]
FENCE = re.compile(r"^ *(`{3,})(?:\{([\w-]+)\})?([^\n]*)\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
VERBATIM = (None, "code", "code-block", "math", "mermaid")  # fences that do not hold prose
# Constants that no cell computes: a licence, names of generations, the level of every interval.
CONSTANT = re.compile(r"\bCC BY 4\.0|\b(?:PCIe|NVLink) \d(?:\.0)?\b|\b95 %")
VERSIONS = {"book/rerun": re.compile(r"\bPython 3\.\d+(?:(?:, | or )3\.\d+)*")}
# FP32, HBM2E and GPT-2 begin with a letter, 16-bit and 8-GPU say what kind: these are names.
NAME = re.compile(r"[^\W\d_][\w.-]*|\d+-[^\W\d_][\w-]*")
NUMBER = re.compile(r"[\w.-]*\d[\w.,×-]*")
GLUED = re.compile(r"\{glue(?::\w+)?\}\s*`?(\w+)")


def written(page) -> list[str]:
    """Return the prose of a page, captions of figures included, before numbers are put in."""
    return [
        cell.source
        if cell.cell_type == "markdown"
        else cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        for cell in page
    ]


def typed_numbers(text: str, doc: str = "") -> list[str]:
    """Return the numbers that stand in the prose of `text` as digits."""
    while FENCE.search(text):
        text = FENCE.sub(lambda m: "" if m[2] in VERBATIM else f"{m[3]}\n{m[4]}", text)
    for pattern in NOT_PROSE:
        text = pattern.sub(" ", text)
    for pattern in (CONSTANT, VERSIONS.get(doc)):
        text = pattern.sub(" ", text) if pattern else text
    return [m.group() for m in NUMBER.finditer(text) if not NAME.fullmatch(m.group().rstrip(".,"))]


def test_no_number_is_typed(cells):
    typed = [
        f"{doc}: {number}"
        for doc, page in cells.items()
        for text in written(page)
        for number in typed_numbers(text, doc)
    ]
    assert typed == []


@pytest.mark.parametrize(
    "text",
    [
        "It grew 3.4 times.",
        "It grew 410x.",
        "In 2019, then.",
        "About 3-4 of them.",
        "40GB",
        "(7)",
        "**12**",
        "# The 2 walls",
        "```{note} Of\n5\n```",
        "```{note}\n```\n7\n```{note}\n```",
        "````{note}\n```sh\n8\n```\n9\n````",
        ":::{tip}\n:class: x\n6\n:::",
        "- 64,313×",
        "1.2e+09 FLOP",
        "Python 3.11",
        "90 %",
        "−3 %",
        "{glue:text}`n` of 8",
        "$s$ is 4",
    ],
)
def test_a_typed_number_is_found(text):
    assert len(typed_numbers(text)) in (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "GPT-2, FP32, H100s, HBM2E and 16-bit on PCIe 4.0, with 95 % intervals.",
        "{glue:text}`x2`",
        "{numref}`fig-2`, {doc}`errata 1 </book/e2>`, `a[3]`, $10^{3}$ and [there](page_2.html).",
        "$$\n10^3\n$$ (growth)",
        "```sh\nhead -5\n```",
        "```{figure} a1.svg\n:alt: 5 bars\nBars.\n```",
        "1. first\n2. second",
        ":::{table}\n:widths: 1 2\n:::",
        "```{code-block} sh\nhead -5\n```",
    ],
)
def test_names_code_and_mathematics_are_not_typed_numbers(text):
    assert typed_numbers(text) == []


def test_captions_are_prose_and_alternative_text_is_not():
    figure = "mystnb:\n  image: {alt: Of 8}\n  figure: {caption: Of 9}"
    page = jupytext.reads(f"```{{code-cell}}\n---\n{figure}\n---\nplot(7)\n```", fmt="md:myst")
    assert [n for text in written(page.cells) for n in typed_numbers(text)] == ["9"]


def test_every_number_handed_over_is_used_and_none_is_missing(html, cells):
    used, said = {}, {}
    for doc, page in cells.items():
        file = html.parent / "jupyter_execute" / f"{doc}.glue.json"
        said[doc] = set(json.loads(file.read_text("utf-8"))) if file.exists() else set()
        used[doc] = set(GLUED.findall("\n".join(written(page))))
    assert {doc: names - used[doc] for doc, names in said.items() if names - used[doc]} == {}
    assert {doc: names - said[doc] for doc, names in used.items() if names - said[doc]} == {}


def test_code_that_is_shown_fits_a_screen(cells):
    """Of 1280 pixels, on which the text's column holds 77 characters of code."""
    wide = [
        f"{doc}: {line}"
        for doc, page in cells.items()
        for cell in page
        if cell.cell_type == "code"
        and not {"remove-cell", "remove-input"} & set(cell.metadata.get("tags", []))
        for line in cell.source.splitlines()
        if len(line) > 77
    ]
    assert wide == []
