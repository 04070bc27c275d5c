// What is wrong with the drawings that this width shows, and their smallest letters in px.
() => {
  const said = [], sizes = [], on = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  for (const svg of document.querySelectorAll("article figure > svg")) {
    const whole = svg.getBoundingClientRect(), name = svg.parentElement.id;
    if (!whole.width) continue;
    if (innerWidth >= 1440 && whole.width < 600) said.push(`${name} is ${whole.width} px wide`);
    const texts = [...svg.querySelectorAll("text")].map((e) => [e, e.getBoundingClientRect()]);
    const marks = [...svg.querySelectorAll("use")].map((e) => e.getBoundingClientRect());
    for (const [i, [e, box]] of texts.entries()) {
      const scale = whole.width / svg.viewBox.baseVal.width;
      sizes.push(parseFloat(getComputedStyle(e).fontSize) * scale);
      if (box.left < whole.left - 1 || box.right > whole.right + 1 || box.top < whole.top - 1
          || box.bottom > whole.bottom + 1) said.push(`${name}: ${e.textContent} leaves it`);
      for (const [other, b] of texts.slice(0, i))
        if (on(box, b)) said.push(`${name}: ${e.textContent} lies on ${other.textContent}`);
      if (marks.some((b) => on(box, b))) said.push(`${name}: ${e.textContent} lies on a marker`);
    }
  }
  return [said, sizes.length ? [Math.min(...sizes)] : []];
}
