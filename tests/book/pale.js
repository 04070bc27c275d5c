// Letters of drawings that are pale on the ground of the page: contrast as WCAG 2 defines it.
() => {
  const of = (css) => css.match(/[\d.]+/g).slice(0, 3).map((c) => c / 255)
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
}
