// The keyboard: `/` searches, j and k walk through the list, Enter opens what has the focus. Escape ends the search;
// in build.js, it closes the build.

import { find } from "./dom.js";
import { showAll } from "./filter.js";
import { focusRow } from "./list.js";

const search = find("#search");

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
  if (target === search && key === "Escape") search.value ? showAll() : search.blur();
  else if (target === search && key === "Enter") step(0);
  else if (target.closest("input, textarea, select")) return;
  else if (key === "/") search.select();
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else return;
  event.preventDefault();
});

// The focus follows to the log, which the arrow keys scroll. list.js leads it back.
document.addEventListener("build-opened", ({ detail: { build } }) => build && find("#log").focus({ preventScroll: true }));

// Focus the next row, or the first if none has the focus.
function step(by) {
  const rows = [...document.querySelectorAll("#worker-rows > .entry:not([hidden])")];
  if (!rows.length || !rows[0].offsetParent) return; // a phone shows the log
  let row = document.activeElement.closest("#worker-rows > tr") ?? find("#worker-rows > .open");
  if (row?.matches(".detail")) row = row.previousElementSibling;
  const at = rows.indexOf(row);
  focusRow(rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)]);
}
