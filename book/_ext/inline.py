"""Figures inside their pages: one drawing for screens, one for phones, in the colours of the theme.

report.css shows one of the two, and says what each ink is in the dark.
"""

import re
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
LEFT_OUT = ("metadata", "style")
ElementTree.register_namespace("", SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
OWN_FONT = re.compile(r"font-family: [^;]*;? ?")
INK = re.compile(r"#([0-9a-f]{6})\b")


def drawings(name: str, alt: str, wide: str, narrow: str) -> str:
    """Return both drawings of the figure `name` as HTML."""
    return "".join(
        inline(svg, f"{name}-{kind}", alt, kind)
        for kind, svg in (("wide", wide), ("narrow", narrow))
    )


def inline(svg: str, name: str, alt: str, kind: str) -> str:
    """Return one drawing as an element of a page: no ground, no fonts or ids but its own."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(SVG) in LEFT_OUT or child.get("id") == "ground":
                parent.remove(child)
    text = ElementTree.tostring(root, "unicode")
    used = set(re.findall(r'"(?:url\()?#([^")]+)', text))
    for part in root.iter():
        own = part.attrib.pop("id", None)
        if own in used:
            part.set("id", f"{name}-{own}")
        for key, value in part.attrib.items():
            part.set(key, re.sub(r"^(url\()?#(?=[A-Za-z])", rf"\1#{name}-", value))
        if style := part.get("style"):
            part.set("style", INK.sub(r"var(--ink-\1)", OWN_FONT.sub("", style)))
        part.text, part.tail = ((t or "").strip() or None for t in (part.text, part.tail))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"class": kind, "role": "img", "aria-label": alt}
    return ElementTree.tostring(root, "unicode", short_empty_elements=False)
