// The connection to the server, and the state of everything in words.

import { find, plain, show } from "./dom.js";
import { moment } from "./times.js";

const PATIENCE = 2000; // ms: a connection that is back sooner is not mentioned
const AGAIN = 10000; // ms between two attempts when the server has refused
const OPEN_IT = "Open the address that `builds-async dashboard` printed.";

const TROUBLE = {
  down: ({ since }) => [
    `API down since ${moment(since)}`,
    `Cloudflare's API has not worked since ${moment(since)}. The list shows the builds as they were then; it continues by itself.`,
  ],
  partial: ({ count, since }) => [
    `live, except for ${count}`,
    `${count === 1 ? "One Worker" : `${count} Workers`} could not be checked since ${moment(since)}.`,
  ],
  refused: ({ since }) => [
    `token refused since ${moment(since)}`,
    `Cloudflare has refused the API token since ${moment(since)}: it has expired, was revoked, or lacks a permission. ` +
      "The list shows the builds as they were then. Start the dashboard again with a token that is valid: `builds-async doctor` says what it needs.",
  ],
  limited: ({ until }) => [
    `rate limit until ${moment(until)}`,
    `Your rate limit at Cloudflare is used up, perhaps by other tools. The list continues by itself at ${moment(until)}.`,
  ],
};
const REFUSALS = {
  401: `This browser may not read the dashboard any more. ${OPEN_IT}`,
  403: `Only the dashboard's own page may read from this server. ${OPEN_IT}`,
  421: `The server does not accept this host name. ${OPEN_IT}`,
  503: "Too many pages are open: close some of them. This one continues by itself.",
};

let stream = null;
let heard = Date.now(); // when the server last sent something
let heartbeat = Infinity; // seconds within which it sends something
let lost = null; // when the connection was lost
let news = { trouble: null, loading: 0, total: 0 };

// Follow the Workers. `take` gets what the server sends, all of them (`whole`) after each connection, and returns
// how many Workers there are (`total`), and how many of them were not looked up yet (`loading`).
export function connect(take) {
  clearTimeout(connect.again);
  stream?.close();
  stream = new EventSource("workers");
  let whole = true;
  stream.onopen = () => {
    heard = Date.now();
    whole = true;
  };
  stream.onerror = () => {
    lose();
    if (stream.readyState === EventSource.CLOSED) refused(() => connect(take)); // the browser has given up
  };
  stream.addEventListener("workers", ({ data }) => {
    const sent = JSON.parse(data);
    heartbeat = sent.heartbeat;
    [heard, lost] = [Date.now(), null];
    news = { trouble: sent.trouble, ...take({ ...sent, whole }) };
    whole = false;
    tell();
  });
  connect.now = () => connect(take);
}

function lose() {
  lost ??= new Date();
  label(`reconnecting … lost at ${moment(lost)}`, "lost");
  setTimeout(() => {
    if (!lost || Date.now() - lost < PATIENCE) return;
    banner(
      `The connection to the dashboard was lost at ${moment(lost)}. The list shows the builds as they were then. ` +
        "It continues by itself once `builds-async dashboard` runs again.",
    );
  }, PATIENCE);
}

// Find out why: an EventSource does not say.
async function refused(again) {
  clearTimeout(connect.again);
  connect.again = setTimeout(again, AGAIN);
  const asking = new AbortController();
  try {
    const { status } = await fetch("workers", { signal: asking.signal });
    if (status === 200) return again();
    label("refused", "refused");
    banner(REFUSALS[status] ?? `The server responds with the error ${status}. ${OPEN_IT}`);
  } catch {
    // The server does not respond, which the page says already.
  } finally {
    asking.abort();
  }
}

function tell() {
  const { trouble, loading, total } = news;
  find("#workers").ariaBusy = String(loading > 0);
  const [short, long] = trouble ? TROUBLE[trouble.kind](trouble) : ["", ""];
  if (trouble) label(short, trouble.kind);
  else if (loading) label(`loading ${total - loading} of ${total} …`, "loading");
  else label("live", "live");
  banner(long, trouble?.error);
}

function label(words, state) {
  show("#connection", words).dataset.state = state;
}

function banner(words, error = "") {
  show("#problem-words", words);
  show("#problem-error", error);
  find("#problem details").hidden = !error;
  find("#problem").hidden = !words;
}

// --- News for a screen reader: not each line, and not each change of a second

const pending = new Map();
let flushing = null;

// Say that Workers have changed: [worker, state] each.
export function announce(changes) {
  for (const [worker, state] of changes) pending.set(worker, state);
  if (pending.size) flushing ??= setTimeout(flush, 1000);
}

function flush() {
  const counts = {};
  for (const state of pending.values()) counts[state] = (counts[state] ?? 0) + 1;
  const all = Object.entries(counts).map(([state, count]) => `${count} ${state}`).join(", ");
  const each = [...pending].map(([worker, state]) => `${worker}: ${state}`).join(", ");
  find("#news").textContent = plain(pending.size > 3 ? `${pending.size} Workers have changed: ${all}` : each);
  pending.clear();
  flushing = null;
}

// A connection that died in a sleeping laptop gives no error.
setInterval(() => {
  if (Date.now() - heard < Math.max(4000 * heartbeat, PATIENCE)) return;
  heard = Date.now();
  lose();
  connect.now();
}, 1000);
addEventListener("online", () => lost && connect.now());
