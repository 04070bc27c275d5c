"""What several pages say has one value on all of them, and what boxes and solutions say has one."""

import importlib.util
import re
from pathlib import Path

import jupytext
import pytest

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("golden", HERE / "golden.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)

TAKEAWAY = re.compile(r"^:::\{admonition\} Takeaway\n(.*?)^:::$", re.MULTILINE | re.DOTALL)
GLUED = re.compile(r"\{glue:text\}`(\w+)`")
# One number by the names that pages glue it under. The same quantity of other machines, formats or
# years is another number, and its page says whose it is.
SHARED = [  # each word is PAGE:NAME
    "index:flops 01:flops errata:drawn",
    "index:dram 01:dram errata:dram",
    "index:links 01:links errata:links",
    "index:gap 01:gap_dram",
    "index:alike 01:gap_alike errata:gap",
    "01:n_flops errata:n",
    "01:mixed_from errata:mixed_from",
    "01:same_chips errata:alike",
    "01:fp32_only errata:fp32",
    "01:tensor_share errata:format_share",
    "01:own_memory errata:own",
    "01:whole_link errata:whole",
    "01:two_dram 03:dram_paper",
    "01:double_flops 03:flops_paper",
    "01:double_dram 03:band_paper",
    "02:sizes 03:size_paper",
    "02:compute errata:compute",
    "02:alexnet errata:alexnet",
    "02:alexnet_sum errata:alexnet_sum",
    "03:n_half 12:n",
    "04:n_cut errata:n_cut",
    "04:decoder_four 05:gpt2 05:gpt2_one",
    "05:read 06:read",
    "05:ridge 06:ridge",
    "05:paper_ridge 06:paper_ridge 14:paper_ridge",
    "09:second_ours verdicts:second_order_memory",
    "09:zero_ours verdicts:zero_model_size",
    "09:bert_saves verdicts:rematerialisation_memory",
    "10:int4 verdicts:int4_decoding_speed",
    "10:model_smaller verdicts:int4_size",
    "14:encoder_gain index:encoder",
    "14:decoder_gain index:decoder",
    "14:peak_gain index:more",
    "12:formats verdicts:half_precision_compute",
    "12:over_cpu verdicts:cpu_peak_below_accelerators",
    "03:own_rate verdicts:peak_flops_to_2026",
    "03:dram_rate verdicts:dram_bandwidth_to_2026",
    "03:since_then verdicts:compute_outgrows_memory_to_2026",
    "index:reference verdicts:reference 05:reference 06:reference 08:reference 09:reference",
    *(f"index:{word} verdicts:{word}" for word in ("claims", "reproduced", "corrected", "differs",
                                                   "undecided", "not_measured")),
]  # fmt: skip


def written(number: float, like: str) -> bool:
    """Whether `number`, to as many digits as the text `like` has, is what `like` says."""
    digits = re.sub(r"[^\d.]", "", like)
    significant = len(digits.replace(".", "").lstrip("0"))
    return float(f"{abs(number):.{significant}g}") == float(digits)


def apart(said: dict[str, dict[str, str]], found: dict[str, list], same: str) -> str:
    """What the places of one number say where they do not agree, else nothing."""
    places = dict(place.split(":") for place in same.split())
    texts = {f"{page}:{name}": said[page].get(name) for page, name in places.items()}
    first = next(iter(texts.values()))
    if first is None:
        return f"{same}: not said"
    for (page, name), text in zip(places.items(), texts.values(), strict=True):
        if text is None and page == "verdicts" and name in found:
            if not written(found[name][0], first):
                return f"{same}: {first} and {found[name][0]}"
        elif text != first:
            return f"{same}: {first} and {text}"
    return ""


@pytest.fixture(scope="module")
def said(html, documents) -> dict[str, dict[str, str]]:
    """What the cells of each page hand to its prose; chapters by number, other pages by name."""
    pages = golden.glued(html.parent)
    return {_short(doc): pages.get(doc, {}) for doc in documents}


def _short(doc: str) -> str:
    folder, name = doc.split("/")
    return name[:2] if folder == "notebooks" else name


@pytest.mark.parametrize("same", SHARED)
def test_a_number_is_the_same_on_every_page(said, html, same):
    assert apart(said, golden.verdicts(html.parent), same) == ""


def test_numbers_that_differ_are_seen():
    said = {"01": {"a": "617×"}, "index": {"b": "617×", "c": "124×"}, "verdicts": {}}
    found = {"wall": [616.93, "reproduced"]}
    assert apart(said, found, "01:a index:b verdicts:wall") == ""
    assert apart(said, found, "01:a index:c") == "01:a index:c: 617× and 124×"
    assert apart(said, {"wall": [618.0, ""]}, "01:a verdicts:wall").endswith("617× and 618.0")
    assert apart(said, found, "01:gone index:b").endswith("not said")


def test_every_takeaway_has_a_number(said, cells):
    bare = []
    for doc, page in cells.items():
        if doc.startswith("notebooks/"):
            boxes = TAKEAWAY.findall("\n".join(cell.source for cell in page))
            assert len(boxes) == 1, doc
            texts = [said[_short(doc)].get(name, "") for name in GLUED.findall(boxes[0])]
            bare += [doc] * (not any(re.search(r"\d", text) for text in texts))
    assert bare == []


def test_solutions_answer_in_sentences(html, documents):
    answers, odd = 0, []
    for doc in documents:
        for cell in _executed(html, doc):
            if "hide-cell" in cell.metadata.get("tags", []):
                text = "".join(out.get("text", "") for out in cell.outputs).strip()
                answers += 1
                if not re.fullmatch(r"[\w(].*[^.]\.(?: [A-Z].*\.)*", text, re.S):
                    odd.append(f"{doc}: {text}")
    assert answers and odd == []


def _executed(html, doc):
    file = html.parent / "jupyter_execute" / f"{doc}.ipynb"
    return jupytext.read(file).cells if file.exists() else []
