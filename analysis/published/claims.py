"""The paper's claims as data/published/claims.csv states them, and what reproduces each.

How far our number may lie from a printed one follows from a rule for all claims that are printed
alike, never from a row, and was fixed before our numbers were known:

`last digit`          half a unit of the last digit printed, in each number of a quotient
`printed range`       between the two numbers printed
`as printed`          of "more than": the number itself
`order of magnitude`  half a decimal power to either side
`up to`               of "up to N times": at least half of that, since more breaks no promise
`no loss`             one per cent: of the accuracy in float32, benchmarks of inference ask for 99 %
                      (Reddi et al. 2019, "MLPerf Inference Benchmark", arXiv:1911.02549)
`in proportion`       a tenth, of an exponent that is said to be one
`goes on`             of a rate of growth: between half and one and a half of its exponent, so that
                      growth that stopped, or halved, is at or beyond the edge
"""

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

from analysis.errors import InputError
from analysis.published.tables import load_table

NO_LOSS, IN_PROPORTION, GOES_ON, UP_TO = 0.01, 0.1, 0.5, 0.5
KINDS = {  # kind -> the rules that it may have
    "equal": ("last digit", "order of magnitude", "in proportion", "goes on"),
    "at least": ("last digit", "as printed", "order of magnitude", "up to"),
    "at most": ("last digit", "as printed", "no loss"),
    "between": ("printed range",),
    "yes or no": ("yes or no",),
}


@dataclass(frozen=True)
class Claim:
    """One number that the paper prints, and how ours is judged."""

    id: str
    statement: str  # one sentence, in our words
    short: str  # a few words, for figures
    kind: str  # one of KINDS
    printed: str  # "3.0"; "45/1", a quotient; "3-4", a range; "yes"
    digits: str  # significant ones of each number; "" where no rule asks
    rule: str
    unit: str  # "x per 20 years", "x per 2 years", "ratio", ...
    basis: str  # "data": tables and arithmetic, the same everywhere; "machine": a run
    corrected: bool  # whether an erratum explains a deviation
    page: str  # the chapter that judges it, and there
    label: str  # the table whose cell does
    printed_in: str  # the figure or text of the paper
    source: str  # where a reader can open it
    status: str  # "to_verify" where the wording is known at second hand

    @property
    def numbers(self) -> list[float]:
        """The one or two numbers printed; of "yes", 1."""
        text = "1" if self.printed == "yes" else self.printed
        return [float(each) for each in text.replace("-", "/").split("/")]

    @property
    def value(self) -> float:
        """What is printed, as one number: a quotient, or the middle of a range."""
        first, *others = self.numbers
        if not others:
            return first
        return (first + others[0]) / 2 if "-" in self.printed else first / others[0]

    @property
    def acceptance(self) -> tuple[float, float]:
        """Between what our number reproduces the claim; ends belong to it, and may be infinite."""
        low, high = self._reach()
        if self.kind == "at least":
            return low, math.inf
        return (-math.inf, high) if self.kind == "at most" else (low, high)

    def _reach(self) -> tuple[float, float]:
        value = self.value
        match self.rule:
            case "last digit":
                pairs = zip(self._texts(), self._digits(), strict=True)
                halves = [half_unit(*each) for each in pairs]
                ends = [(n - half, n + half) for n, half in zip(self.numbers, halves, strict=True)]
                if len(ends) == 1:
                    return ends[0]
                (low, high), (least, most) = ends
                return low / most, high / least
            case "printed range":
                return min(self.numbers), max(self.numbers)
            case "order of magnitude":
                return value / math.sqrt(10), value * math.sqrt(10)
            case "up to":
                return value * UP_TO, value
            case "no loss":
                return value * (1 - NO_LOSS), value * (1 + NO_LOSS)
            case "in proportion":
                return value - IN_PROPORTION, value + IN_PROPORTION
            case "goes on":
                return value ** (1 - GOES_ON), value ** (1 + GOES_ON)
        return value, value

    def _texts(self) -> list[str]:
        return self.printed.split("/")

    def _digits(self) -> list[int]:
        return [int(each) for each in self.digits.split("/") if each]

    def fault(self) -> tuple[str, str] | None:
        """What of the row contradicts itself: the column, and what was expected there."""
        if self.rule not in KINDS[self.kind]:
            return "rule", f"of {self.kind!r} one of {', '.join(KINDS[self.kind])}"
        if (self.printed == "yes") != (self.kind == "yes or no"):
            return "printed", "yes where the kind is yes or no, and only there"
        if ("-" in self.printed) != (self.kind == "between"):
            return "printed", "a range where the kind is between, and only there"
        if self.kind == "between" and not self.numbers[0] < self.numbers[1]:
            return "printed", "a range that rises"
        if not min(self.numbers) > 0:
            return "printed", "positive numbers"
        if self.rule == "last digit":
            bounds, digits = [*map(significant, self._texts())], self._digits()
            if len(digits) != len(bounds):
                return "digits", "the significant digits of each number printed"
            for (least, most), each in zip(bounds, digits, strict=True):
                if not least <= each <= most:
                    return "digits", f"{least} to {most}, as {self.printed} has"
        return None


def significant(text: str) -> tuple[int, int]:
    """How many significant digits a printed number has at least and at most: whether zeros at the
    end of a whole number count it does not say; those behind a point do."""
    digits = text.replace(".", "").lstrip("0")
    return len(digits if "." in text else digits.rstrip("0")), len(digits)


def half_unit(text: str, digits: int) -> float:
    """Half a unit of the last of `digits` significant digits of a printed number."""
    return float(Fraction(10) ** (math.floor(math.log10(float(text))) - digits + 1) / 2)


def load_claims(data: Path | None = None) -> dict[str, Claim]:
    """The claims by id, in the order of the file; faults raise InputError as in load_table."""
    table = load_table("claims", data)[[field.name for field in fields(Claim)]]
    claims = {row["id"]: Claim(**row) for row in table.to_dict("records")}
    for line, claim in enumerate(claims.values(), 2):
        if fault := claim.fault():
            column, expected = fault
            found = getattr(claim, column)
            raise InputError(
                f"published/claims.csv, line {line}, column {column}: expected {expected}, "
                f"found {found!r}"
            )
    return claims
