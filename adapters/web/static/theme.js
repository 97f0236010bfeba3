"use strict";
// Before the page is painted: the person's choice between light and dark, where they made one.
{
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
