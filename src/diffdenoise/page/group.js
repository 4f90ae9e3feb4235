"use strict";
(() => {
  const table = document.getElementById("scans");
  if (!table) return;
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const valueOf = (row, column) => row.cells[column].dataset.value;
  const compare = (a, b) => {
    // What was not measured comes last, whichever way the rest is sorted.
    if (a === undefined || b === undefined) return a === b ? 0 : null;
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  };
  const sortBy = (column) => {
    const head = heads[column];
    // Names from A on, numbers from the largest on: one is looking for what stands out.
    const isUp = head.ariaSort ? head.ariaSort === "descending" : column === 0;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.ariaSort = isUp ? "ascending" : "descending";
    const rows = [...body.rows].sort((one, other) => {
      const [a, b] = [valueOf(one, column), valueOf(other, column)], found = compare(a, b);
      if (found === null) return a === undefined ? 1 : -1;
      return isUp ? found : -found;
    });
    body.append(...rows);
  };
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sortBy(column)));
})();
