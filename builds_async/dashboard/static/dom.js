// Names, branches, commit messages and log lines are untrusted: they enter the page by textContent only.
import { plain } from "./ansi.js";

export { plain };

export const find = (selector, within = document) => within.querySelector(selector);
export const copy = (template) => find(template).content.firstElementChild.cloneNode(true);

export function show(selector, untrusted, within = document) {
  const [element, text] = [find(selector, within), plain(untrusted)];
  if (element.textContent !== text) element.textContent = text; // otherwise a screen reader would announce it again
  element.hidden = !text;
  return element;
}

// Show a link only if it leads to a page of the web: the server has checked it, too.
export function link(selector, url, untrusted, within = document) {
  const element = find(selector, within);
  const isPage = typeof url === "string" && URL.canParse(url) && new URL(url).protocol === "https:";
  if (untrusted !== undefined) show(selector, untrusted, within);
  if (isPage) element.href = url;
  else element.removeAttribute("href");
  if (untrusted === undefined) element.hidden = !isPage;
  return element;
}

export function duration(seconds) {
  if (seconds < 10 && seconds % 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${whole % 60} s`
    : `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}
