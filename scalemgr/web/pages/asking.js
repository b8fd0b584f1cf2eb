// What the page asks for by itself, and rows that are opened under others to show it.

import { count, make, say, theirs } from "./words.js";

// The status, and what was said; a status of 0 if nothing was.
export async function ask(path, query) {
  try {
    const answer = await fetch(`${path}?${new URLSearchParams(query)}`, { headers: { Accept: "application/json" } });
    return [answer.status, await answer.json()];
  } catch {
    return [0, { message: "The daemon did not answer. Try again when the connection is back." }];
  }
}

export const refusal = (told) => told.message ?? told.error ?? "It was refused, without a word.";

// The number of an entry; pressed, it opens a row under its own: who asked, and, of an event, the line of it.
export function opener(seq, columns, line = null) {
  const title = line === null ? "who asked" : "who asked, and the line of it in the log";
  const button = make("button", { type: "button", class: "plain", "aria-expanded": "false", title }, count(seq));
  button.addEventListener("click", () => {
    const row = button.closest("tr");
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) row.nextElementSibling.remove();
    else row.after(detail(seq, columns, line));
  });
  return button;
}

function detail(seq, columns, line) {
  const who = make("p", { class: "asker", role: "status" }, "Looking up who asked …");
  ask("/entry", { seq }).then(([status, told]) => {
    if (status !== 200) say(who, refusal(told));
    else if (told.principal === null)
      say(who, "Who asked is told to those who may see every group and every event, and to who it was.");
    else who.replaceChildren(...asker(told.principal, told.key));
  });
  return make(
    "tr",
    { class: "raw", role: "row" },
    make("td", { colspan: columns, role: "cell" }, who, ...(line === null ? [] : [make("pre", null, line)])),
  );
}

const asker = (principal, key) => [
  "Asked by ",
  make("b", null, theirs(principal)),
  ...(key === null ? [", without a key"] : [", key ", make("b", null, theirs(key))]),
];
