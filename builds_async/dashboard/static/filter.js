// Which Workers are shown: the search, and the counts that filter.

import { find, show } from "./dom.js";

const GROUPS = {
  failed: ["fail", "terminated"],
  running: ["queued", "initializing", "running"],
  succeeded: ["success"],
};
const search = find("#search");
const buttons = [...document.querySelectorAll("#filters button")];
let chosen = "all";
let changed = () => {};

export const groupOf = (state) => Object.keys(GROUPS).find((group) => GROUPS[group].includes(state)) ?? "other";

export function isWanted({ worker, state, branch, commit, message, author }) {
  if (chosen !== "all" && groupOf(state) !== chosen) return false;
  const text = [worker, branch, commit, message, author].filter(Boolean).join("\n").toLowerCase();
  return text.includes(search.value.trim().toLowerCase());
}

// Call `take` when the user has chosen other Workers.
export function onFilter(take) {
  changed = take;
}

// Show how many Workers there are of each kind, and why none is in the list. Returns the counts.
export function count(workers) {
  const counts = { all: workers.length, failed: 0, running: 0, succeeded: 0, other: 0 };
  for (const { state } of workers) counts[groupOf(state)] += 1;
  for (const button of buttons) show(".count", String(counts[button.dataset.group]), button);
  const [first] = workers;
  const nothing = !first ? "none" : workers.some(isWanted) ? "" : "filtered";
  show("#empty-words", {
    none: "This account has no Workers yet. A new one appears here within a minute.",
    filtered: "No Worker matches.",
    "": "",
  }[nothing]);
  find("#empty").hidden = !nothing;
  find("#show-all").hidden = nothing !== "filtered";
  return counts;
}

function choose(group) {
  chosen = group;
  for (const button of buttons) button.ariaPressed = String(button.dataset.group === group);
  changed();
}

export function showAll() {
  search.value = "";
  choose("all");
}

for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.group));
search.addEventListener("input", () => changed());
find("#show-all").addEventListener("click", () => {
  showAll();
  search.focus();
});
