"""What a browser is asked about a page, as JavaScript."""

# What a reader of this width would stumble over, as a list of texts.
STUMBLES = r"""() => {
  const said = [], page = document.documentElement, article = document.querySelector("article");
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "." + e.className);
  const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  if (page.scrollWidth > innerWidth) said.push(`page is ${page.scrollWidth} px wide`);
  for (const e of article?.querySelectorAll("*") ?? []) {
    if (e.closest("mjx-container, .math, .headerlink, button, details:not([open]), svg *"))
      continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || style.clipPath !== "none") continue;
    if ((box.right > innerWidth + 1 || box.left < -1) && !scrolls(e.parentElement))
      said.push(`${name(e)} leaves the page`);
    if (style.overflowX === "hidden" && e.scrollWidth > e.clientWidth + 1)
      said.push(`${name(e)} is cut off`);
  }
  for (const box of article?.querySelectorAll(".pst-scrollable-table-container") ?? []) {
    const table = box.querySelector("table"), stacked = table.matches(".stacked");
    if (innerWidth >= 500 && stacked) said.push(`${name(table)} is cards`);
    if (box.scrollWidth > box.clientWidth + 1 && (innerWidth < 500 || box.tabIndex !== 0))
      said.push(`${name(table)} hides part of itself`);
    for (const cell of table.querySelectorAll("td")) {
      if (!/^\d{4}-\d\d(-\d\d)?$/.test(cell.textContent.trim())) continue;
      const line = parseFloat(getComputedStyle(cell).lineHeight);
      const text = document.createRange();
      text.selectNodeContents(cell);
      if (text.getBoundingClientRect().height > 1.5 * line) said.push(`${cell.textContent} wraps`);
    }
  }
  for (const pre of article?.querySelectorAll(".highlight-bibtex pre, .highlight-sh pre") ?? [])
    if (pre.scrollWidth > pre.clientWidth + 1) said.push(`${pre.textContent.slice(0, 40)} is cut`);
  for (const number of article?.querySelectorAll("div.math .eqno") ?? []) {
    const a = number.getBoundingClientRect();
    const b = number.parentElement.querySelector("mjx-math")?.getBoundingClientRect();
    if (b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      said.push(`${number.textContent} lies on its formula`);
  }
  for (const e of article?.querySelectorAll("section > *, .cell > *, .cell_output > *") ?? []) {
    const next = e.nextElementSibling;
    if (!next || [e, next].some((x) => getComputedStyle(x).float !== "none" || !x.offsetHeight
        || getComputedStyle(x).position === "absolute")) continue;
    if (e.getBoundingClientRect().bottom > next.getBoundingClientRect().top + 2)
      said.push(`${name(e)} lies on ${name(next)}`);
  }
  return said;
}"""
MISSING = """() => [
  ...[...document.images].filter((i) => !i.complete || !i.naturalWidth)
    .map((i) => "image " + i.getAttribute("src")),
  ...[...document.querySelectorAll(".math")]
    .filter((m) => !m.querySelector("mjx-container") || m.querySelector("mjx-merror"))
    .map((m) => "formula " + m.textContent),
  ...([...document.fonts].some((f) => /Awesome/.test(f.family) && f.status === "loaded")
    ? [] : ["icons"]),
]"""
# What is wrong with the drawings that this width shows, and their smallest letters in px.
DRAWINGS = """() => {
  const said = [], sizes = [], on = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  for (const svg of document.querySelectorAll("article figure > svg")) {
    const whole = svg.getBoundingClientRect(), name = svg.parentElement.id;
    if (!whole.width) continue;
    if (innerWidth >= 1440 && whole.width < 600) said.push(`${name} is ${whole.width} px wide`);
    const texts = [...svg.querySelectorAll("text")].map((e) => [e, e.getBoundingClientRect()]);
    const marks = [...svg.querySelectorAll("use")].map((e) => e.getBoundingClientRect());
    for (const [i, [e, box]] of texts.entries()) {
      const scaled = whole.width / svg.viewBox.baseVal.width;
      sizes.push(parseFloat(getComputedStyle(e).fontSize) * scaled);
      if (box.left < whole.left - 1 || box.right > whole.right + 1 || box.top < whole.top - 1
          || box.bottom > whole.bottom + 1) said.push(`${name}: ${e.textContent} leaves it`);
      for (const [other, b] of texts.slice(0, i))
        if (on(box, b)) said.push(`${name}: ${e.textContent} lies on ${other.textContent}`);
      if (marks.some((b) => on(box, b))) said.push(`${name}: ${e.textContent} lies on a marker`);
    }
  }
  return [said, sizes.length ? [Math.min(...sizes)] : []];
}"""
# Letters of drawings that are pale on the ground of the page: contrast as WCAG 2 defines it.
PALE = """() => {
  const of = (css) => css.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = of(getComputedStyle(document.body).backgroundColor), said = [];
  for (const e of document.querySelectorAll("article figure > svg text, article figure > svg")) {
    const style = getComputedStyle(e), ink = of(style.fill);
    const found = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    if (found < 4.5) said.push(`${e.textContent.slice(0, 30)}: contrast ${found}`);
    if (style.backgroundColor !== "rgba(0, 0, 0, 0)")
      said.push(`a plate: ${style.backgroundColor}`);
  }
  return said;
}"""
AT_REST = """async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
}"""
FIRST_PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0"""
