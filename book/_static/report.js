// From a file no page can be fetched: search shows its results without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A table that is wider than its place scrolls in it; on a phone it is stacked: each row a card, each
// cell under its heading.
function stack(table) {
  const box = table.parentElement, wide = () => box.scrollWidth > box.clientWidth + 1;
  table.classList.remove("stacked");
  table.classList.toggle("stacked", innerWidth < 500 && wide());
  box.classList.toggle("scrolls", wide());
  if (wide()) box.tabIndex = 0; // for whoever has no mouse
  else box.removeAttribute("tabindex");
}

document.addEventListener("DOMContentLoaded", () => {
  const tables = [...document.querySelectorAll(".pst-scrollable-table-container > table")];
  for (const table of tables) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    for (const row of table.rows) {
      row.setAttribute("role", "row"); // stacking takes the roles that a table gives
      for (const [i, cell] of [...row.cells].entries()) {
        cell.setAttribute("role", cell.tagName === "TH" ? "columnheader" : "cell");
        cell.dataset.head = heads[i] ?? "";
        const length = cell.textContent.trim().length;
        cell.classList.toggle("blank", !length);
        cell.classList.toggle("wide", length > 20);
        cell.classList.toggle("short", length <= 12); // dates and numbers stay on one line
      }
    }
    table.setAttribute("role", "table");
    for (const group of table.querySelectorAll("thead, tbody")) {
      group.setAttribute("role", "rowgroup");
    }
  }
  const fit = () => tables.forEach(stack);
  for (const { parentElement: box } of tables) {
    box.addEventListener("scroll", () => box.classList.toggle(
      "ended", box.scrollLeft + box.clientWidth >= box.scrollWidth - 1));
  }
  fit();
  // The place of a table changes with the window and the margins; its width with the letters.
  const places = new Map();
  const watch = new ResizeObserver((seen) => requestAnimationFrame(() => {
    for (const { target } of seen) {
      if (places.get(target) !== target.clientWidth) stack(target.querySelector("table"));
      places.set(target, target.clientWidth);
    }
  }));
  for (const table of tables) watch.observe(table.parentElement);
  addEventListener("load", fit);
  document.fonts?.ready.then(fit);
  document.fonts?.addEventListener("loadingdone", fit);

  // Whoever has no mouse scrolls what is wide with the keyboard, so it must take the focus.
  const reach = new ResizeObserver((seen) => {
    for (const { target } of seen)
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
  });
  for (const box of document.querySelectorAll("div.math, .bd-article pre")) reach.observe(box);
});
