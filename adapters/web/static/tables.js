"use strict";
// Tables that sort and page. The rows are all in the page; without this script they are simply all shown.
(() => {
  const ROWS = 20;
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const value = (row, column, numbers) => {
    const text = row.cells[column].textContent.trim();
    return numbers ? Number.parseFloat(text.replace(/[^0-9.eE+-]/g, "")) : text;
  };

  function ready(figure) {
    figure.dataset.table = "ready";
    const body = figure.querySelector("tbody");
    const heads = [...figure.querySelectorAll("th")];
    const pager = figure.querySelector(".pager");
    let rows = [...body.rows];
    let first = 0;

    function show() {
      body.replaceChildren(...rows.slice(first, first + ROWS));
      if (rows.length <= ROWS) return;
      const place = document.createElement("span");
      place.textContent = `${first + 1}–${Math.min(first + ROWS, rows.length)}`;
      pager.replaceChildren(step("Previous rows", "‹", first - ROWS), place, step("Next rows", "›", first + ROWS));
    }
    function step(label, sign, to) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "tool";
      button.setAttribute("aria-label", label);
      button.textContent = sign;
      button.disabled = to < 0 || to >= rows.length;
      button.addEventListener("click", () => {
        first = to;
        show();
        [...pager.querySelectorAll("button")].find((each) => each.getAttribute("aria-label") === label && !each.disabled)?.focus();
      });
      return button;
    }
    function sort(head) {
      const column = heads.indexOf(head), numbers = head.classList.contains("number");
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      rows = rows.toSorted((one, other) => {
        const a = value(one, column, numbers), b = value(other, column, numbers);
        if (!numbers) return sign * order.compare(a, b);
        return Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : sign * (a - b);
      });
      first = 0;
      show();
    }
    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      if (!button.textContent.trim()) button.setAttribute("aria-label", `Column ${heads.indexOf(head) + 1}`);
      button.addEventListener("click", () => sort(head));
      head.append(button);
    }
    show();
  }

  window.tables = (root) => root.querySelectorAll('[data-table=""]').forEach(ready);
  window.tables(document);
  document.addEventListener("htmx:after:swap", () => window.tables(document));
})();
