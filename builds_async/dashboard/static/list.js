// The list of Workers: one row each, failures first. A change touches its own row and no other.

import { addressOf } from "./build.js";
import { copy, find, plain, show } from "./dom.js";
import { count, groupOf, isWanted, onFilter } from "./filter.js";
import { refresh, toggle } from "./history.js";
import { absolute, ago, took } from "./times.js";

const MANY = 20; // from this many changes on, the whole list is sorted at once
const RANKS = { failed: 0, running: 1 };

const body = find("#worker-rows");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const entries = new Map(); // by tag: what the server has sent about a Worker, and its row
let order = []; // the entries as they are shown

// Take what the server sends. Returns [worker, state] for each Worker that was known in another state.
export function update({ workers, whole }) {
  if (whole) keep(new Set(workers.map(({ tag }) => tag)));
  const changed = workers.map((worker) => take(worker, whole)).filter(Boolean);
  if (changed.length < MANY) for (const { entry } of changed) place(entry);
  else placeAll();
  summarize();
  const isNews = ({ before, entry }) => before && before !== "loading" && before !== entry.data.state;
  return changed.filter(isNews).map(({ entry: { data } }) => [data.worker, data.state]);
}

// Mark the row of the Worker whose build is open, and lead the focus back to it when the build is closed.
let opened = "";
const has = ({ data, builds = [] }, build) => Boolean(build) && (data.build === build || builds.includes(build));

document.addEventListener("build-opened", ({ detail: { build, before } }) => {
  opened = build;
  order.forEach(mark);
  find("#worker-rows > .open")?.scrollIntoView({ block: "nearest" });
  if (before && !opened) focusBuild(before);
});

function mark(entry) {
  entry.row.classList.toggle("open", has(entry, opened));
}

// How many Workers there are, and how many of them were not looked up yet.
export function progress() {
  return { total: order.length, loading: order.filter(({ isLoading }) => isLoading).length };
}

// Focus what opens the log of a row; its details, if the Worker was never built.
export function focusRow(row) {
  const link = find("a.open", row);
  (link.hidden ? find(".more", row) : link).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function focusBuild(build) {
  const entry = order.find((it) => has(it, build));
  if (entry && !entry.row.hidden) focusRow(entry.row);
  else find("#search").focus();
}

function keep(tags) {
  for (const [tag, { row, detail }] of entries) {
    if (tags.has(tag)) continue;
    row.remove();
    detail?.remove();
    entries.delete(tag);
  }
  order = order.filter(({ data }) => tags.has(data.tag));
}

function take(worker, whole) {
  const entry = entries.get(worker.tag) ?? added(worker.tag);
  const { state: before, build } = entry.data ?? {};
  entry.isLoading = worker.state === "loading";
  // A server that has just started knows nothing yet: what is shown is newer.
  if (whole && before && entry.isLoading) return null;
  entry.data = { ...worker, state: worker.state ?? "no build" };
  entry.rank = RANKS[groupOf(entry.data.state)] ?? 2;
  entry.since = Date.parse(worker.since) || 0;
  fill(entry);
  if (before && before !== "loading" && !whole && (before !== entry.data.state || build !== worker.build)) {
    refresh(entry);
    if (!still.matches) entry.row.animate([{ background: "var(--flash)" }, {}], 2000);
  }
  return { entry, before };
}

function added(tag) {
  const entry = { row: copy("#row"), data: null, detail: null };
  find(".more", entry.row).addEventListener("click", () => toggle(entry));
  entry.row.addEventListener("click", ({ target }) => {
    if (entry.data.build && !target.closest("a, button") && !getSelection().toString()) find("a.open", entry.row).click();
  });
  entries.set(tag, entry);
  return entry;
}

function fill(entry) {
  const { row, data } = entry;
  const { worker, build, state, since, branch, commit, message, author, problem } = data;
  const name = plain(worker);
  show(".name", worker, row);
  find(".worker", row).title = name;
  show(".state", state, row).dataset.state = state;
  find(".state", row).title = problem ? plain(`could not be checked: ${problem}`) : "";
  row.classList.toggle("unchecked", Boolean(problem));
  row.classList.toggle("built", Boolean(build));
  show(".branch", branch || "–", row).title = plain(branch || "");
  show(".commit", (commit || "").slice(0, 7), row);
  show(".message", (message || "").split("\n", 1)[0], row);
  find(".change", row).title = plain([message, commit, author && `by ${author}`].filter(Boolean).join("\n"));
  find("time", row).dateTime = since || "";
  find("time", row).title = absolute(since);
  const [link, more] = [find("a.open", row), find(".more", row)];
  link.hidden = !build;
  if (build) link.href = addressOf(build);
  link.ariaLabel = `Log of ${name}`;
  more.ariaLabel = `Details of ${name}`;
  mark(entry);
  hide(entry);
  tick(entry);
}

// --- The order

const compare = (a, b) =>
  a.rank - b.rank ||
  b.since - a.since ||
  a.data.worker.localeCompare(b.data.worker) ||
  (a.data.tag < b.data.tag ? -1 : 1);

function place(entry) {
  const from = order.indexOf(entry);
  if (from >= 0) order.splice(from, 1);
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(order[middle], entry) < 0) low = middle + 1;
    else high = middle;
  }
  order.splice(low, 0, entry);
  if (low !== from) move(entry, order[low + 1]?.row ?? null);
}

function placeAll() {
  order = [...entries.values()].sort(compare);
  let next = body.firstElementChild;
  for (const entry of order) {
    if (next !== entry.row) move(entry, next);
    next = (entry.detail ?? entry.row).nextElementSibling;
  }
}

function move({ row, detail }, next) {
  const focused = document.activeElement;
  body.insertBefore(row, next);
  if (detail) body.insertBefore(detail, next);
  if (document.activeElement !== focused) focused.focus({ preventScroll: true }); // a row that moves loses it
}

// --- What is shown, and what ticks

function hide({ row, detail, data }) {
  row.hidden = !isWanted(data);
  if (detail) detail.hidden = row.hidden;
}

function summarize() {
  const counts = count(order.map(({ data }) => data));
  document.title = counts.failed ? `(${counts.failed} failed) Workers Builds` : "Workers Builds";
}

onFilter(() => {
  order.forEach(hide);
  summarize();
});

function tick({ row, data }) {
  const [time, duration] = [find("time", row), find(".duration", row)];
  const [age, taken] = [ago(data.since), took(data)];
  if (time.textContent !== age) time.textContent = age;
  if (duration.textContent !== taken) duration.textContent = taken;
}
setInterval(() => document.hidden || order.forEach(tick), 1000);
