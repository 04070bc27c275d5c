// What a reader of this width would stumble over, as a list of texts.
() => {
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
  for (const pre of article?.querySelectorAll("pre") ?? [])
    if (pre.scrollWidth > pre.clientWidth + 1 && !pre.closest("details:not([open])")
        && (pre.tabIndex !== 0 || !getComputedStyle(pre).backgroundAttachment.startsWith("local")))
      said.push(`${pre.textContent.slice(0, 40)} is cut`);
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
}
