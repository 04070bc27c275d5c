"""Text that may come from anyone, made safe for a terminal and for a spreadsheet (for pages it is
`compared.page.escape`), and what pages and the book's extensions know of each other's text."""

import re

NARROW = "image/vnd.narrow+svg"  # the type of a drawing for phones, beside that for screens
_NUMBER = r"[-+]?\d[\d.,]*(e[+-]?\d+)?( ?[%×])?"
# What spreadsheets take for a formula, but for numbers with their intervals.
_FORMULA = re.compile(rf"(?!{_NUMBER}( \({_NUMBER} to {_NUMBER}\))?$)[-=+@\t\r]")


def printable(text: str) -> str:
    """`text` with a space for each line end and each control or direction-changing character."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_line(text: str, most: int) -> str:
    """What of `text` can be printed, as one line of at most `most` characters."""
    return " ".join(printable(text).split())[:most]


def cell(text: str) -> str:
    """`text` for a cell of a CSV file: behind an apostrophe if it would be run as a formula."""
    return f"'{text}" if _FORMULA.match(text.lstrip(" \n")) else text


def plain(text: str) -> str:
    """Return MyST text without its roles and links, as their words: {doc}`Errata </book/errata>`
    is Errata."""
    text = re.sub(r"\{[\w:+-]+\}`([^`<]+?)(?: ?<[^`>]*>)?`", r"\1", text)
    return re.sub(r"\[([^\]]*)\]\(<[^>]*>\)", r"\1", text)
