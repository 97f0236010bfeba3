"use strict";
// Keeps the address of a page of the audit that of what it shows, so that going back, loading again and sharing it find the same.
(() => {
  const said = document.getElementById("said");
  document.addEventListener("htmx:after:swap", () => {
    history.replaceState(null, "", document.getElementById("tabs").dataset.address);
    const rows = document.querySelectorAll("#found tbody tr").length;
    said.textContent = rows === 0 ? "Nothing was found." : `${rows} ${rows === 1 ? "line" : "lines"} found.`;
  });
})();
