// The lines of one log. All of them are kept, and only those in view are in the page: rows are of one height.
import { copy, duration, find } from "./dom.js";
import { dress, plain, segments, shown } from "./ansi.js";

const ROW = 20; // pixels, as in style.css
const SPARE = 12; // rows above and below the view
const LONGEST = 5000; // characters of a line in the page; the raw log has all of it
const clock = new Intl.DateTimeFormat([], { timeStyle: "medium", hourCycle: "h23" });

const view = find("#log");
const space = find("#log-lines");
const rows = find("#log-rows");

let address = () => ""; // of a line
let lines = []; // pairs of time and message
let steps = []; // those that begin at a line, in order
let folded = new Set(); // names of steps
let layout = []; // the rows: { step, first, end, row, folded }, with indexes of lines
let height = 0; // in rows
let drawn = new Map(); // the elements in view, by what they show
let target = 0; // the number of the line that the address names
let reached = true; // whether that line has been scrolled to
let pinned = true; // follows the end
let held = -1; // or the index of the line that was gone to, until the reader scrolls
let top = 0; // where the page, or the reader before, has scrolled to

const atEnd = () => view.scrollHeight - view.scrollTop - view.clientHeight < ROW / 2;

export const count = () => lines.length;
export const amount = (number) => `${number.toLocaleString()} ${number === 1 ? "line" : "lines"}`;
export const isReached = () => reached;
export const textOf = (index) => shown(lines[index][1]);
export const wholeText = () => lines.map(([time, message]) => `${time} ${plain(message)}\n`).join("");

export function clear(line, addressOf) {
  [lines, steps, folded, layout, drawn] = [[], [], new Set(), [], new Map()];
  address = addressOf;
  rows.replaceChildren();
  space.style.minWidth = "";
  aim(line);
}

// Go to a line, now or when it has come; 0 for none.
export function aim(line) {
  top = view.scrollTop;
  [target, reached, pinned, held] = [line, !line, !line, -1];
  drawn.clear();
  arrange();
}

export function append(more) {
  for (const line of more) lines.push(line);
  arrange();
}

export function setSteps(all) {
  steps = all.filter(({ line }) => line);
  for (const key of [...drawn.keys()]) if (typeof key === "string") drawn.delete(key);
  arrange();
}

// The rows: a step is a row with its name, and its lines unless it is folded.
function arrange() {
  heed();
  layout = [];
  height = 0;
  const begins = steps.filter(({ line }) => line <= lines.length);
  const add = (step, first, end) => {
    const isFolded = Boolean(step) && folded.has(step.name);
    layout.push({ step, first, end, row: height, folded: isFolded });
    height += (step ? 1 : 0) + (isFolded ? 0 : end - first);
  };
  const head = begins.length ? begins[0].line - 1 : lines.length;
  if (head) add(null, 0, head);
  begins.forEach((step, index) => add(step, step.line - 1, (begins[index + 1]?.line ?? lines.length + 1) - 1));
  space.style.height = `${height * ROW}px`;
  if (target && !reached && target <= lines.length) {
    reached = true;
    return reveal(target - 1);
  }
  hold();
}

// Keep in view what was in view: the end, or the line gone to. Also after a resize of the view.
export function settle() {
  heed();
  hold();
}

function hold() {
  if (pinned) view.scrollTop = view.scrollHeight;
  else if (held >= 0) view.scrollTop = rowOf(held) * ROW - view.clientHeight / 2 + ROW;
  top = view.scrollTop;
  draw();
}

export function reveal(index) {
  [pinned, held] = [false, index];
  const { step, folded: isFolded } = placeOf(index);
  if (!isFolded) return hold();
  folded.delete(step.name);
  arrange();
}

const placeOf = (index) => layout.findLast(({ first }) => first <= index);

function rowOf(index) {
  const { step, first, row } = placeOf(index);
  return row + (step ? 1 : 0) + index - first;
}

export function toEnd() {
  pinned = true;
  hold();
}

// The first line in view, where a search begins.
export function firstInView() {
  const place = at(Math.floor(view.scrollTop / ROW));
  return place ? (place.index ?? place.step.line - 1) : 0;
}

function at(row) {
  const place = layout.findLast((it) => it.row <= row);
  if (!place) return null;
  const inside = row - place.row - (place.step ? 1 : 0);
  if (inside < 0) return { step: place.step, end: place.end, folded: place.folded };
  return { index: place.first + inside };
}

function draw() {
  const first = Math.max(0, Math.floor(view.scrollTop / ROW) - SPARE);
  const end = Math.min(height, Math.ceil((view.scrollTop + view.clientHeight) / ROW) + SPARE);
  const next = new Map();
  for (let row = first; row < end; row++) {
    const it = at(row);
    const key = it.step ? `${it.step.name} ${it.end} ${it.folded}` : it.index;
    next.set(key, drawn.get(key) ?? (it.step ? stepRow(it) : lineRow(it.index)));
  }
  const kept = new Set(next.values());
  for (const element of [...rows.children]) if (!kept.has(element)) element.remove();
  let before = rows.firstChild; // elements that stay are not moved: they may have the focus or a selection
  for (const element of next.values()) {
    if (element === before) before = before.nextSibling;
    else rows.insertBefore(element, before);
  }
  drawn = next;
  rows.style.transform = `translateY(${first * ROW}px)`;
  if (rows.scrollWidth > space.clientWidth) space.style.minWidth = `${rows.scrollWidth}px`;
  find("#newest").hidden = atEnd();
}

function lineRow(index) {
  const [time, message] = lines[index];
  const row = copy("#line");
  const number = find(".number", row);
  number.textContent = index + 1;
  number.href = address(index + 1);
  row.classList.toggle("target", index + 1 === target);
  row.classList.toggle("hit", index === search.current);
  find("time", row).textContent = clock.format(new Date(time));
  fill(find(".text", row), message);
  return row;
}

function fill(element, message) {
  const text = message.length > LONGEST ? message.slice(0, LONGEST) : message;
  const pieces = segments(text);
  const marks = search.marksOf(pieces.map((it) => it.text).join(""));
  let position = 0;
  for (const { text, style } of pieces) {
    const span = style ? element.appendChild(document.createElement("span")) : element;
    if (style) dress(span, style);
    for (const [part, isMarked] of cut(text, position, marks)) {
      if (!isMarked) span.append(part);
      else span.appendChild(document.createElement("mark")).textContent = part;
    }
    position += text.length;
  }
  if (text !== message)
    element.appendChild(document.createElement("em")).textContent = ` … ${message.length - LONGEST} more characters are in the raw log`;
}

// The parts of a text that begins at `position`, marked or not.
function* cut(text, position, marks) {
  let from = 0;
  for (const [begin, end] of marks) {
    const [left, right] = [Math.max(from, begin - position), Math.min(text.length, end - position)];
    if (left >= right) continue;
    if (left > from) yield [text.slice(from, left), false];
    yield [text.slice(left, right), true];
    from = right;
  }
  if (from < text.length) yield [text.slice(from), false];
}

function stepRow({ step, end, folded: isFolded }) {
  const row = copy("#step");
  row.dataset.step = step.name;
  const button = find("button", row);
  button.ariaExpanded = String(!isFolded);
  find(".name", row).textContent = step.name;
  find(".took", row).textContent = took(step);
  find(".size", row).textContent = amount(end - step.line + 1);
  row.dataset.outcome = step.outcome ?? "running";
  button.addEventListener("click", () => fold(step.name));
  return row;
}

export const took = ({ seconds, outcome }) => (seconds !== null ? duration(seconds) : outcome ? "" : "running …");

function fold(name) {
  folded.delete(name) || folded.add(name);
  held = -1;
  pinned &&= !folded.has(name); // otherwise the row that was clicked would jump away
  arrange();
  find(`#log-rows [data-step="${name}"] button`)?.focus();
}

// --- Search

export const search = {
  query: "",
  hits: [], // indexes of lines
  current: -1, // the index of the line that was gone to
  seen: 0, // how many lines were searched

  set(query) {
    if (query === this.query) return;
    this.query = query;
    this.reset();
    this.more();
    redraw();
  },
  // Search all lines again.
  reset() {
    [this.hits, this.current, this.seen] = [[], -1, 0];
  },
  // Search the lines that have come.
  more() {
    const wanted = this.query.toLowerCase();
    if (wanted)
      for (let index = this.seen; index < lines.length; index++)
        if (textOf(index).toLowerCase().includes(wanted)) this.hits.push(index);
    this.seen = lines.length;
  },
  step(by) {
    if (!this.hits.length) return;
    const here = this.hits.indexOf(this.current);
    const size = this.hits.length;
    if (here >= 0) this.current = this.hits[(here + by + size) % size];
    else {
      const from = firstInView();
      const next = this.hits.findIndex((it) => it >= from);
      this.current = by > 0 ? this.hits[next < 0 ? 0 : next] : this.hits[((next < 0 ? size : next) + by + size) % size];
    }
    redraw();
    reveal(this.current);
  },
  says() {
    if (!this.query) return "";
    if (!this.hits.length) return "not found";
    const here = this.hits.indexOf(this.current);
    return here < 0 ? amount(this.hits.length) : `${here + 1} of ${amount(this.hits.length)}`;
  },
  marksOf(text) {
    const [wanted, lower] = [this.query.toLowerCase(), text.toLowerCase()];
    if (!wanted || lower.length !== text.length) return [];
    const marks = [];
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) marks.push([at, at + wanted.length]);
    return marks;
  },
};

function redraw() {
  drawn.clear();
  draw();
}

// --- Scrolling

// Note where the reader has scrolled to, before rows change: the scroll event may come later. A place to which the page
// itself has scrolled does not count.
function heed() {
  if (view.scrollTop === top) return;
  [top, pinned, held] = [view.scrollTop, atEnd(), -1];
}

view.addEventListener("scroll", () => {
  heed();
  draw();
});
new ResizeObserver(settle).observe(view);
find("#newest").addEventListener("click", toEnd);
