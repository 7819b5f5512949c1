// The page: the list of Workers, and the build that the address names.
import { close, isOpen, open } from "./build.js";
import { find } from "./dom.js";
import "./keys.js";
import { progress, update } from "./list.js";
import { announce, connect } from "./states.js";

connect((news) => {
  announce(update(news));
  return progress();
});
open();
window.addEventListener("hashchange", open);
document.addEventListener("keydown", ({ key, target }) => {
  if (key === "Escape" && isOpen() && target.id !== "search" && !find("dialog[open]")) close();
});
