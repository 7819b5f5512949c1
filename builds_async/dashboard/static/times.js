// Times in words: the distance is shown and ticks, the moment is the title.

import { duration } from "./dom.js";

const long = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat([], { timeStyle: "short", hourCycle: "h23" });

const date = (text) => {
  const moment = new Date(text ?? NaN);
  return Number.isNaN(moment.getTime()) ? null : moment; // the API may send anything
};

// "12:03", with the day if that is not today.
export function moment(text) {
  const when = date(text);
  if (!when) return "an unknown time";
  return when.toDateString() === new Date().toDateString() ? clock.format(when) : long.format(when);
}

export const absolute = (text) => (date(text) ? exact.format(date(text)) : "");

export function ago(text) {
  const when = date(text);
  if (!when) return "";
  const seconds = Math.max(0, (Date.now() - when) / 1000);
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([it]) => seconds >= it) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

// How long a build took, or has taken so far; empty if unknown.
export function took({ seconds, began, state }) {
  if (typeof seconds === "number") return duration(seconds);
  return isRunning(state) && date(began) ? duration(Math.max(0, Math.floor((Date.now() - date(began)) / 1000))) : "";
}

const isRunning = (state) => ["queued", "initializing", "running"].includes(state);
