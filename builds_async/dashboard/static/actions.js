// What the page can do to a build, after the user has confirmed it.
import { find, show } from "./dom.js";

const WORDS = {
  retry: ["Retry this build?", "The same trigger builds the same branch and commit again.", "Retry"],
  cancel: ["Cancel this build?", "It stops, and what it has not deployed by then is not deployed.", "Cancel the build"],
};
const dialog = find("#confirm");
let answer = () => {};

function confirmed(action, what) {
  const [title, text, yes] = WORDS[action];
  show("#confirm-title", title);
  show("#confirm-what", what);
  show("#confirm-text", text);
  show("#confirm-yes", yes);
  answer(false); // to a question that is still open
  dialog.showModal();
  return new Promise((resolve) => (answer = resolve));
}

function close(isYes) {
  dialog.close();
  answer(isYes);
}
find("#confirm-yes").addEventListener("click", () => close(true));
find("#confirm-no").addEventListener("click", () => close(false));
dialog.addEventListener("cancel", () => answer(false)); // Escape

// Ask the user and then the server: the build that it names, or the problem in words, or neither.
export async function ask(action, { build, csrf, branch, commit }, worker) {
  const what = [worker, branch, commit?.slice(0, 7)].filter(Boolean).join(" · ");
  if (!(await confirmed(action, what))) return {};
  const button = find(`#${action}`);
  button.disabled = true;
  try {
    const address = `builds/${encodeURIComponent(build)}/${action}`;
    const response = await fetch(address, { method: "POST", headers: { "X-CSRF-Token": csrf } });
    return response.ok ? await response.json() : { problem: `Not done: ${await response.text()}` };
  } catch {
    return { problem: "The server can't be reached. Look at the list before you try again: it may have been done." };
  } finally {
    button.disabled = false;
  }
}
