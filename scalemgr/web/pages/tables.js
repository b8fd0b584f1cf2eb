// Tables of what is now: who waits, who is connected.

import { $, cell, count, inBytes, lasting, make, say } from "./words.js";

// Rows by a key: those that stay are kept, so that nothing flickers and a selection survives.
function fill(body, items, keyOf, cellsOf) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const taken = new Map();
  const rows = items.map((item) => {
    // Two may be alike in everything but their age.
    const like = keyOf(item);
    taken.set(like, (taken.get(like) ?? 0) + 1);
    const key = `${like}/${taken.get(like)}`;
    const cells = cellsOf(item);
    const row =
      old.get(key) ??
      make("tr", { "data-key": key, role: "row" }, ...cells.map(([, kind, name]) => cell("", kind, name)));
    cells.forEach(([text, , , small], at) => put(row.children[at], text, small));
    return row;
  });
  if (rows.length !== body.children.length || rows.some((row, at) => body.children[at] !== row))
    body.replaceChildren(...rows);
  body.closest(".scroll").hidden = !rows.length;
}

// A text, and what is smaller under it.
function put(node, text, small) {
  if (small === undefined) {
    say(node, text);
    return;
  }
  if (node.children.length !== 2) node.replaceChildren(make("span"), make("small"));
  say(node.firstElementChild, text);
  say(node.lastElementChild, small);
}

// What somebody came in with: until when it is good, by which key it is signed, which one it is.
function badge({ kid, token_id: id, expires }, now) {
  const left = expires ? expires - now : 0;
  return [
    expires && (left > 0 ? `access ends in ${lasting(left)}` : `access ended ${lasting(-left)} ago`),
    kid && `key ${kid}`,
    id && `token ${id}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

export function waiting(now, since) {
  const { waiters, sessions } = now;
  const who = new Map(sessions.listed.map((session) => [session.number, session.principal]));
  fill(
    $("waiting-rows"),
    waiters.oldest,
    (one) => `${one.session}/${one.order}/${one.kind}`,
    (one) => [
      [one.order ? String(one.order) : "–", "nowrap", "order"],
      [who.get(one.session) || `session ${one.session}`, "what"],
      [one.kind, "nowrap", "kind"],
      [lasting(one.age_s), "number main"],
    ],
  );
  const some = waiters.oldest.length;
  $("waiting-empty").hidden = some > 0;
  say(
    $("waiting-empty"),
    waiters.count ? "Who they are is told to those who may see every group." : "Nobody waits for an event.",
  );
  say(
    $("waiting-count"),
    some && some < waiters.count
      ? `${count(some)} oldest of ${count(waiters.count)}`
      : waiters.count
        ? count(waiters.count)
        : "",
  );

  fill(
    $("sessions-rows"),
    sessions.listed,
    (one) => one.number,
    (one) => [
      [
        one.principal ? `${one.principal} (${one.role.toLowerCase()})` : "not known yet",
        "what",
        null,
        badge(one, now.now),
      ],
      [one.peer || "–", "peer", "from"],
      [count(one.in_flight), "number", "in flight"],
      [one.buffered_bytes ? inBytes(one.buffered_bytes) : "0", "number", "unread"],
      [since(one.since, now.now), "number", "since"],
    ],
  );
  const listed = sessions.listed.length;
  $("sessions-empty").hidden = listed > 0;
  say(
    $("sessions-empty"),
    sessions.count ? "Who they are is told to those who may see every group." : "Nobody is connected.",
  );
  say(
    $("sessions-count"),
    listed && listed < sessions.count ? `first ${count(listed)} of ${count(sessions.count)}` : count(sessions.count),
  );
}
