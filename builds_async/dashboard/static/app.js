// Names, branches, commit messages and log lines are untrusted: they enter the page by textContent only.
"use strict";

const MAX_LINES = 20000; // the oldest are removed first
// Colors and links of a terminal are removed; characters that hide or reverse text become visible.
const TERMINAL = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\r$/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;
const clock = new Intl.DateTimeFormat([], { timeStyle: "medium", hourCycle: "h23" });

const find = (selector, within = document) => within.querySelector(selector);
const copy = (template) => find(template).content.firstElementChild.cloneNode(true);

const code = (character) => `\\u${character.charCodeAt().toString(16).padStart(4, "0")}`;
const plain = (text) => text.replace(TERMINAL, "").replace(CONTROL, code);

function show(selector, untrusted, within = document) {
  const [element, text] = [find(selector, within), plain(untrusted)];
  if (element.textContent !== text) element.textContent = text; // otherwise a screen reader would announce it again
  element.hidden = !text;
  return element;
}

// --- The table

const workers = new Map(); // the server's data on each, by tag
const rows = new Map();
const table = new EventSource("workers");
let complete = false;

table.onopen = () => {
  complete = false; // the first event has all Workers
  show("#connection", "live").dataset.state = "live";
};
table.onerror = () => {
  const gone = table.readyState === EventSource.CLOSED; // the browser has given up
  show("#connection", gone ? "refused, reload the page" : "reconnecting …").dataset.state = "lost";
};
table.addEventListener("workers", ({ data }) => {
  const news = JSON.parse(data);
  if (!complete) {
    find("tbody").replaceChildren();
    workers.clear();
    rows.clear();
  }
  for (const worker of news.workers) {
    workers.set(worker.tag, worker);
    if (!rows.has(worker.tag)) rows.set(worker.tag, find("tbody").appendChild(copy("#row")));
    fill(rows.get(worker.tag), worker);
    if (complete) rows.get(worker.tag).animate([{ background: "var(--flash)" }, {}], 2000);
  }
  complete = true;
  filter();
  show("#problem", news.problem);
  summarize();
  describe();
  tick();
});

function fill(row, { worker, build, state = "no build", since = "", branch, commit, message }) {
  show(".worker", worker, row).title = plain(worker);
  show(".state", state, row).dataset.state = state;
  show(".branch", branch || "–", row).title = plain(branch || "");
  show(".commit", (commit || "").slice(0, 7), row).title = commit || "";
  show(".message", (message || "").split("\n", 1)[0], row).title = message || "";
  find("time", row).dateTime = since || "";
  find("time", row).title = since ? new Date(since).toLocaleString() : "";
  const link = find("a", row);
  link.hidden = !build;
  link.href = `#${build}`;
  link.ariaLabel = `Log of ${worker}`;
}

function filter() {
  const wanted = find("#search").value.trim().toLowerCase();
  for (const [tag, { worker, branch, message }] of workers) {
    const text = [worker, branch, message].filter(Boolean).join("\n").toLowerCase();
    rows.get(tag).hidden = !text.includes(wanted);
  }
}
find("#search").addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  const typing = event.target === find("#search");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    find("#search").select();
  } else if (event.key === "Escape" && typing) {
    find("#search").value = "";
    filter();
    find("#search").blur();
  } else if (event.key === "Escape" && build) find("#close").click();
});

function summarize() {
  const counts = {};
  for (const { state = "no build" } of workers.values()) counts[state] = (counts[state] ?? 0) + 1;
  const parts = Object.entries(counts).map(([state, count]) => `${count} ${state}`).sort().join(" · ");
  show("#summary", `${workers.size} Workers: ${parts}`);
  document.title = counts.fail ? `(${counts.fail} failed) Workers Builds` : "Workers Builds";
}

function tick() {
  for (const row of rows.values()) {
    const time = find("time", row);
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([it]) => seconds >= it) ?? [1, "s"];
    const age = time.dateTime ? `${Math.floor(seconds / size)} ${unit}` : "";
    if (time.textContent !== age) time.textContent = age;
  }
}
setInterval(tick, 1000);

// --- The log of the build in the fragment of the address

const log = find("#log");
let build = "";
let last = ""; // the ID of the last event, at which a new stream resumes
let ended = false;
let stream = null;
let pinned = true; // scrolled to the end
let height = 0;
let count = 0;

function open() {
  [build, last, ended, pinned, count] = [location.hash.slice(1), "", false, true, 0];
  log.replaceChildren();
  for (const selector of ["#log-problem", "#log-end"]) show(selector, "");
  show("#log-name", `Build ${build.slice(0, 8)}`);
  show("#log-state", "");
  show("#log-about", "");
  find("#panel").hidden = !build;
  find("#panel").classList.remove("ended");
  describe();
  find("tr.open")?.scrollIntoView({ block: "nearest" });
  follow();
}
window.addEventListener("hashchange", open);

function describe() {
  for (const worker of workers.values()) {
    const isOpen = Boolean(build) && worker.build === build;
    rows.get(worker.tag).classList.toggle("open", isOpen);
    if (!isOpen) continue;
    show("#log-name", worker.worker);
    show("#log-about", [worker.branch, worker.commit?.slice(0, 7)].filter(Boolean).join(" · "));
    if (!ended) show("#log-state", worker.state).dataset.state = worker.state;
  }
}

function follow() {
  stream?.close();
  if (!build || ended || document.hidden) return; // a hidden page needs no requests
  stream = new EventSource(`logs/${encodeURIComponent(build)}?after=${encodeURIComponent(last)}`);
  stream.onopen = () => show("#log-problem", "");
  stream.onerror = () =>
    stream.readyState === EventSource.CLOSED ? end("There is no such log.") : show("#log-problem", "reconnecting …");
  stream.addEventListener("lines", ({ data, lastEventId }) => {
    last = lastEventId;
    show("#log-problem", "");
    append(JSON.parse(data));
  });
  stream.addEventListener("problem", ({ data }) => show("#log-problem", `${JSON.parse(data)}; trying again …`));
  stream.addEventListener("failed", ({ data }) => end(JSON.parse(data)));
  stream.addEventListener("end", ({ data }) => {
    const { state, complete } = JSON.parse(data);
    end("");
    show("#log-state", state).dataset.state = state;
    show("#log-end", `${complete ? "End of the log" : "The log may be incomplete"}: ${state}`);
  });
}
document.addEventListener("visibilitychange", follow);

function end(problem) {
  stream.close(); // otherwise it would reconnect
  ended = true;
  find("#panel").classList.add("ended");
  show("#log-problem", problem);
}

const scrollToEnd = () => (log.scrollTop = log.scrollHeight);

function append(lines) {
  const batch = document.createElement("div"); // laid out once, however long the log grows
  for (const [time, message] of lines) {
    const line = batch.appendChild(copy("#line"));
    find("time", line).textContent = clock.format(new Date(time));
    find(".text", line).textContent = plain(message);
  }
  log.append(batch);
  count += lines.length;
  while (count > MAX_LINES && log.firstElementChild !== batch) {
    count -= log.firstElementChild.childElementCount;
    log.firstElementChild.remove();
  }
  if (pinned) scrollToEnd();
}
log.addEventListener("scroll", () => {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
  pinned = atEnd || (pinned && log.scrollTop >= height); // scrolling up unpins
  height = log.scrollTop;
  find("#newest").hidden = pinned;
});
new ResizeObserver(() => pinned && scrollToEnd()).observe(log);
find("#newest").addEventListener("click", scrollToEnd);
find("#close").addEventListener("click", () => {
  find("tr.open a")?.focus();
  location.hash = "";
});
open();
