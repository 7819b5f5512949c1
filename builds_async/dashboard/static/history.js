// The details of a Worker, below its row: what serves traffic, and its last builds. They are requested when opened.

import { addressOf } from "./build.js";
import { copy, find, plain, show } from "./dom.js";
import { absolute, ago, moment, took } from "./times.js";

const WHY_NO_BUILD = {
  by_hand: "deployed by hand, not by a build",
  rollback: "a rollback to a version that no build made",
  secret: "made by a changed secret",
  expired: "older than 90 days, for which builds are kept",
  refused: "its build is unknown: the token may not read builds",
};

// Open or close the details of an entry of the list.
export function toggle(entry) {
  if (entry.detail) {
    entry.detail.remove();
    entry.detail = null;
  } else {
    entry.detail = copy("#detail");
    entry.row.after(entry.detail);
    fit();
    refresh(entry);
  }
  find(".more", entry.row).ariaExpanded = String(Boolean(entry.detail));
}

// Request the details again, if they are open.
export function refresh(entry) {
  const { detail, data } = entry;
  if (!detail) return;
  const name = plain(data.worker);
  show(".builds-title", `The last builds of ${name}`, detail);
  const wanted = (entry.wanted = Symbol()); // an older response may come later
  const isWanted = () => entry.detail === detail && entry.wanted === wanted;
  get(`workers/${encodeURIComponent(data.tag)}/live`).then(
    (live) => isWanted() && showLive(entry, live),
    (error) => isWanted() && show(".live", `What is live is not known: ${error.message}`, detail),
  );
  get(`workers/${encodeURIComponent(data.tag)}/builds`).then(
    (builds) => isWanted() && showBuilds(entry, builds),
    (error) => isWanted() && show(".note", `The last builds are not known: ${error.message}`, detail),
  );
}

async function get(path) {
  const response = await fetch(path).catch(() => {
    throw new Error("the dashboard's server does not respond");
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

function showLive(entry, { since, versions }) {
  const words = versions.map(({ percentage, build, branch, commit, message, reason, version }) => {
    const share = percentage === null || percentage === 100 ? "" : `${percentage} % `;
    const made = [branch, (commit || "").slice(0, 7), message?.split("\n", 1)[0]].filter(Boolean).join(" · ");
    return `${share}${build ? made || `build ${build.slice(0, 8)}` : `version ${version.slice(0, 8)}, ${WHY_NO_BUILD[reason] ?? reason}`}`;
  });
  const live = words.length ? `Live since ${moment(since)}: ${words.join("; ")}` : "Never deployed: nothing is live.";
  show(".live", live, entry.detail).title = absolute(since);
  entry.live = new Set(versions.map(({ build }) => build).filter(Boolean));
  badge(entry);
}

function showBuilds(entry, builds) {
  entry.builds = builds.map(({ build }) => build);
  show(".note", builds.length ? "" : "There are no builds.", entry.detail);
  find("table", entry.detail).hidden = !builds.length;
  find("tbody", entry.detail).replaceChildren(...builds.map(buildRow));
  badge(entry);
}

function buildRow(data) {
  const { build, state, since, branch, commit, message, author } = data;
  const row = copy("#build");
  show(".state", state, row).dataset.state = state;
  show(".branch", branch || "–", row).title = plain(branch || "");
  show(".commit", (commit || "").slice(0, 7), row);
  show(".message", (message || "").split("\n", 1)[0], row);
  find(".change", row).title = plain([message, commit].filter(Boolean).join("\n"));
  show(".author", author || "", row).title = plain(author || "");
  find(".duration", row).textContent = took(data);
  const time = find("time", row);
  [time.dateTime, time.title, time.textContent] = [since || "", absolute(since), ago(since)];
  const link = find("a", row);
  link.href = addressOf(build);
  link.ariaLabel = `Log of build ${build.slice(0, 8)}`;
  row.dataset.build = build;
  return row;
}

function badge({ detail, live = new Set() }) {
  for (const row of find("tbody", detail).rows) find(".badge", row).hidden = !live.has(row.dataset.build);
}

// A detail is as wide as all columns that are shown: fewer on a narrow screen.
function fit() {
  const columns = [...find("#head").cells].filter(({ offsetParent }) => offsetParent).length;
  for (const cell of document.querySelectorAll(".detail > td")) cell.colSpan = columns;
}
new ResizeObserver(fit).observe(find("#head"));
