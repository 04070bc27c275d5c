// Filter the table of every claim by verdict. Without this script the table is whole.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("tab-all-claims");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const column = heads.indexOf("Verdict");
  const rows = [...table.tBodies[0].rows];
  const verdict = (row) => row.cells[column].textContent.trim();
  const bar = document.createElement("div");
  bar.className = "verdict-filter";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Show claims by verdict");
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  const show = (wanted) => {
    for (const row of rows) row.hidden = wanted !== "all" && verdict(row) !== wanted;
    for (const button of bar.children) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === wanted));
    }
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims shown`;
  };
  for (const name of ["all", ...new Set(rows.map(verdict))]) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.verdict = name;
    button.textContent = name;
    button.addEventListener("click", () => show(name));
    bar.append(button);
  }
  const place = table.closest(".pst-scrollable-table-container") || table;
  place.before(bar, status);
  show("all");
});
