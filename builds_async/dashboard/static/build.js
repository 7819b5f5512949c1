// The pane of the build that the address names: `#build=<id>&line=<number>`.
import { ask } from "./actions.js";
import { duration, find, link, plain, show } from "./dom.js";
import * as log from "./log.js";

const panel = find("#panel");
let build = ""; // the id
let facts = null; // what the server has sent about it
let mark = ""; // the id of the last event, at which a new stream resumes
let ended = false;
let stream = null;

// --- The address

const parameters = () => new URLSearchParams(location.hash.slice(1));

export function addressOf(id, line) {
  const wanted = parameters();
  if (!wanted.has("build")) for (const key of [...wanted.keys()]) if (!wanted.get(key)) wanted.delete(key);
  wanted.delete("line");
  if (id) wanted.set("build", id);
  else wanted.delete("build");
  if (line) wanted.set("line", line);
  return `#${wanted}`;
}

export function open() {
  const wanted = parameters();
  const bare = location.hash.slice(1);
  const id = (wanted.get("build") ?? (bare.includes("=") ? "" : bare)).toLowerCase();
  const line = Math.max(0, parseInt(wanted.get("line"), 10) || 0);
  if (id && !wanted.has("build")) history.replaceState(null, "", addressOf(id)); // an address of `#<id>` alone
  if (id && id === build) return log.aim(line);
  const before = build;
  start(id, line);
  document.dispatchEvent(new CustomEvent("build-opened", { detail: { build, before } }));
}

function start(id, line) {
  [build, facts, mark, ended] = [id, null, "", false];
  log.clear(line, (number) => addressOf(build, number));
  find("#log-search").value = "";
  log.search.set("");
  for (const selector of ["#log-problem", "#log-end", "#log-notice", "#log-progress-text"]) show(selector, "");
  panel.hidden = !build;
  describe();
  follow();
}

export const isOpen = () => Boolean(build);

export function close() {
  location.hash = addressOf("");
}

// --- The build

function describe() {
  const it = facts ?? {};
  show("#log-name", it.worker || `Build ${build.slice(0, 8)}`);
  show("#log-state", it.state ?? "").dataset.state = it.state ?? "";
  show("#log-branch", it.branch ?? "");
  link("#log-commit", it.commit_url, (it.commit ?? "").slice(0, 7));
  show("#log-message", (it.message ?? "").split("\n", 1)[0]).title = plain(it.message ?? "");
  show("#log-author", it.author ? `by ${it.author}` : "");
  show("#log-took", typeof it.seconds === "number" ? `took ${duration(it.seconds)}` : "");
  link("#preview", it.preview_url);
  link("#cloudflare", it.dashboard_url);
  find("#raw").href = `logs/${encodeURIComponent(build)}/raw`;
  find("#retry").hidden = !(it.csrf && it.stopped);
  find("#cancel").hidden = !it.csrf || it.stopped;
  find("#reason").hidden = !it.reason;
  if (it.reason) {
    show("#reason-text", it.reason.text);
    show("#reason-line", `Line ${it.reason.line}`).href = addressOf(build, it.reason.line);
  }
  showSteps(it.steps ?? []);
  log.settle(); // what is above the lines may have another height now
}

function showSteps(steps) {
  find("#steps").hidden = !steps.length;
  find("#steps").replaceChildren(
    ...steps.map((step) => {
      const item = document.createElement("li");
      const place = item.appendChild(document.createElement("a"));
      place.textContent = [step.name, log.took(step)].filter(Boolean).join(" ");
      if (step.line) place.href = addressOf(build, step.line);
      item.dataset.outcome = step.outcome ?? "running";
      return item;
    }),
  );
  log.setSteps(steps);
}

async function findLinks() {
  const id = build;
  const response = await fetch(`builds/${encodeURIComponent(id)}/links`).catch(() => null);
  if (!response?.ok || id !== build) return;
  const links = await response.json();
  if (id !== build || !facts) return;
  facts.dashboard_url = links.dashboard_url;
  facts.preview_url ??= links.preview_url;
  describe();
}

// --- The stream

const retry = find("#try-again");
retry.addEventListener("click", () => {
  ended = false;
  follow();
});

function follow() {
  stream?.close();
  retry.hidden = true;
  panel.dataset.phase = !build ? "" : ended ? "ended" : document.hidden ? "paused" : "loading";
  if (!build || ended || document.hidden) return; // a hidden page needs no requests
  show("#log-problem", "");
  stream = new EventSource(`logs/${encodeURIComponent(build)}?after=${encodeURIComponent(mark)}`);
  stream.onopen = () => show("#log-problem", "");
  stream.onerror = () => (stream.readyState === EventSource.CLOSED ? refused() : show("#log-problem", "Connection lost. Reconnecting …"));
  const on = (name, handle) => stream.addEventListener(name, ({ data, lastEventId }) => handle(JSON.parse(data), lastEventId));
  on("build", tell);
  on("lines", take);
  on("problem", (text) => show("#log-problem", text && `${text}; trying again …`));
  on("reset", reset);
  on("failed", fail);
  on("end", finish);
}
document.addEventListener("visibilitychange", () => stream && !ended && follow());

function tell(news) {
  const before = facts;
  facts = { ...news, dashboard_url: before?.dashboard_url };
  facts.preview_url ??= before?.preview_url;
  describe();
  if (!before) findLinks();
}

function take({ first, total, lines }, id) {
  if (first > log.count()) return follow(); // a gap: continue after the lines that are here
  mark = id;
  log.append(lines.slice(log.count() - first));
  const all = log.count();
  const loading = all < total;
  panel.dataset.phase = loading ? "loading" : "live";
  find("#log-progress").hidden = !loading;
  find("#log-progress").max = total;
  find("#log-progress").value = all;
  show("#log-progress-text", loading ? `${all.toLocaleString()} of ${log.amount(total)}` : "");
  show("#log-count", log.amount(all));
  searchMore();
}

function reset() {
  mark = "";
  log.clear(0, (number) => addressOf(build, number));
  log.search.reset();
  show("#log-notice", "Cloudflare has replaced this log since the page loaded it. It is now shown from its first line.");
}

const had = () => log.count() > 0 || facts;

function fail({ kind, text }) {
  const words = {
    missing: had()
      ? "This build is gone: Cloudflare no longer has it. The lines that were loaded stay until you leave it."
      : "There is no such build in this account. It may be older than Cloudflare keeps builds, or the link may belong to another account.",
  };
  stop(words[kind] ?? text);
}

function finish({ state, complete, lines }) {
  stop("");
  show("#log-state", state).dataset.state = state;
  const words = complete
    ? `${lines ? "End of the log" : "This build has written no log"}: ${state}`
    : lines
      ? `The log may be incomplete: ${state}. Cloudflare no longer has the rest of it.`
      : `This build has no log any more: ${state}. Cloudflare keeps logs for 90 days.`;
  show("#log-end", words);
  if (!log.isReached()) show("#log-notice", `The log has no line ${parameters().get("line")}: it ends at line ${log.count()}.`);
  log.settle();
  findLinks();
}

function stop(problem) {
  stream.close(); // otherwise it would reconnect
  ended = true;
  panel.dataset.phase = "ended";
  find("#log-progress").hidden = true;
  show("#log-progress-text", "");
  show("#log-problem", problem);
  retry.hidden = !problem;
}

// The browser has given up: find out why.
async function refused() {
  const id = build;
  panel.dataset.phase = "refused";
  const response = await fetch("workers", { method: "HEAD" }).catch(() => null);
  if (id !== build) return;
  if (response?.status === 401) stop("The server was restarted: open the address that it printed.");
  else if (response) stop("The server did not send this log: this is not the id of a build, or too many logs are open.");
  else setTimeout(() => id === build && follow(), 1000);
}

// --- Search

const input = find("#log-search");
const say = () => show("#log-hits", log.search.says());

function searchMore() {
  log.search.more();
  say();
}
input.addEventListener("input", () => {
  log.search.set(input.value);
  say();
});
function step(by) {
  log.search.step(by);
  say();
}
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  else if (event.key === "Escape" && input.value) {
    event.stopPropagation(); // the first one ends the search, the next one closes the build
    input.value = "";
    log.search.set("");
    say();
  }
});
find("#next").addEventListener("click", () => step(1));
find("#previous").addEventListener("click", () => step(-1));

// --- Buttons

async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(document.createElement("textarea")); // without TLS, on another host
  area.value = text;
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

find("#copy").addEventListener("click", async () => {
  const done = await copyText(log.wholeText()).then(() => true, () => false);
  show("#log-copied", done ? `${log.amount(log.count())} copied` : "The browser did not allow copying");
  setTimeout(() => show("#log-copied", ""), 4000);
});

find("#download").addEventListener("click", () => {
  const file = document.createElement("a");
  file.href = URL.createObjectURL(new Blob([log.wholeText()], { type: "text/plain" }));
  file.download = `build-${build.replace(/[^0-9a-z-]/g, "")}.log.txt`;
  file.click();
  setTimeout(() => URL.revokeObjectURL(file.href), 60000);
});

for (const action of ["retry", "cancel"]) {
  find(`#${action}`).addEventListener("click", async () => {
    const id = build;
    const { problem, build: other } = await ask(action, facts, find("#log-name").textContent);
    if (id !== build) return;
    if (problem !== undefined) show("#log-problem", problem);
    else if (other && other !== build) location.hash = addressOf(other);
  });
}

find("#close").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "f" && (event.ctrlKey || event.metaKey) && build && document.activeElement !== input) {
    event.preventDefault(); // the browser's own search, one more press away, sees only the lines in view
    input.select();
  }
});
