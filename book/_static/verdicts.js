// Filter the table of every claim by verdict, and sort it by a column. Without this script it is whole.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("tab-all-claims");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const rows = [...body.rows], text = (cell) => cell.textContent.trim();
  const column = heads.findIndex((head) => text(head) === "Verdict");
  const word = (row) => text(row.cells[column]).replace(/^\W+/, "");
  const bar = document.createElement("div"), status = document.createElement("p");
  bar.className = "verdict-filter";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Show claims by verdict");
  status.setAttribute("role", "status");
  const show = (wanted) => {
    for (const row of rows) row.hidden = wanted !== "all" && word(row) !== wanted;
    for (const button of bar.children) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === wanted));
    }
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims shown`;
  };
  for (const name of ["all", ...new Set(rows.map(word))]) {
    const button = document.createElement("button");
    const count = rows.filter((row) => name === "all" || word(row) === name).length;
    button.type = "button";
    button.dataset.verdict = name;
    button.textContent = `${name} ${count}`;
    button.addEventListener("click", () => show(name));
    bar.append(button);
  }
  // Numbers go by size, before what is none; words by the alphabet.
  const value = (row, i) => {
    const found = text(row.cells[i]), number = parseFloat(found.replace(/,|^(up to|at \w+) /g, ""));
    return i !== column && !isNaN(number) ? number : i === column ? word(row) : found;
  };
  const before = (a, b) => (typeof a === typeof b ? (a < b ? -1 : +(a > b))
    : typeof a === "number" ? -1 : 1);
  for (const [i, head] of heads.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.sort((a, b) => sign * before(value(a, i), value(b, i)));
      body.append(...rows);
    });
  }
  const place = table.closest(".pst-scrollable-table-container") || table;
  place.before(bar, status);
  show("all");
  // A link to a claim shows it whatever was filtered.
  addEventListener("hashchange", () => location.hash.startsWith("#claim-") && show("all"));
});
