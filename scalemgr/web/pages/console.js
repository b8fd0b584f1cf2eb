// The page: it listens, and shows what it hears. If it hears nothing it says so, and tries again by itself.

import { Events } from "./events.js";
import { Find } from "./find.js";
import { Numbers } from "./charts.js";
import { Statement } from "./statement.js";
import { waiting } from "./tables.js";
import { $, clock, lasting, moment, say, since, tone } from "./words.js";

const PATIENCE_MS = 4000;
const AGAIN_MS = 3000;

const numbers = new Numbers();
const statement = new Statement();
const events = new Events(
  (filter) => listen(filter),
  (login) => statement.of(login),
);
const find = new Find((login) => statement.of(login));

let source = null;
// The last entry that we know of, by the browser's memory or ours.
let seen = "";
let lastHeard = Date.now();
let lostSince = null;
let serverNow = null;
let epoch = null;

// -- the connection ------------------------------------------------------------------------------------

function listen(filter) {
  source?.close();
  seen = "";
  connect(filter);
}

function connect(filter = events.filter) {
  const query = new URLSearchParams(Object.entries({ ...filter, after: seen }).filter(([, value]) => value));
  const opened = new EventSource(`/stream?${query}`);
  source = opened;
  const hear = (name, act) =>
    opened.addEventListener(name, (event) => {
      if (opened !== source) return;
      if (event.lastEventId) seen = event.lastEventId;
      heard();
      act(event.data);
    });
  hear("hello", (data) => hello(JSON.parse(data)));
  hear("history", (data) => numbers.history(JSON.parse(data)));
  hear("status", (data) => status(JSON.parse(data)));
  hear("entry", (data) => events.entry(data));
  hear("more", (data) => events.more(JSON.parse(data).count));
  hear("gap", (data) => events.gap(JSON.parse(data).from, JSON.parse(data).to));
  opened.addEventListener("error", () => {
    if (opened !== source) return;
    lost();
    if (opened.readyState === EventSource.CLOSED) refused();
  });
}

// The browser tries again only if it was a connection that failed, not an answer.
async function refused() {
  source = null;
  try {
    const answer = await fetch("/", { method: "HEAD", cache: "no-store" });
    if (answer.status === 401) {
      location.reload();
      return;
    }
  } catch {
    // It is not there at all.
  }
  setTimeout(() => source ?? connect(), AGAIN_MS);
}

function heard() {
  lastHeard = Date.now();
  if (lostSince === null && document.documentElement.dataset.link === "live") return;
  if (lostSince !== null) announce(`Connected again, after ${lasting((lastHeard - lostSince) / 1000)}.`);
  lostSince = null;
  document.documentElement.dataset.link = "live";
  pill("link", "good", "●", "Live");
}

function lost() {
  if (lostSince !== null) return;
  lostSince = lastHeard;
  document.documentElement.dataset.link = "lost";
  const when = clock(lostSince / 1000);
  pill("link", "bad", "○", `Lost since ${when}`);
  pill("state", "idle", "?", "Not known");
  trouble(`No connection since ${when} UTC: what is below is how things were then. Trying again by itself.`);
  announce(`The connection is lost since ${when} UTC.`);
}

// A connection that is dead says nothing, not even that.
setInterval(() => {
  if (Date.now() - lastHeard > PATIENCE_MS) {
    lost();
    if (source?.readyState === EventSource.OPEN) {
      source.close();
      connect();
    }
  }
  if (serverNow !== null && lostSince === null) say($("clock"), clock(serverNow + (Date.now() - lastHeard) / 1000));
}, 500);

// -- what is heard -------------------------------------------------------------------------------------

function hello(who) {
  // Who has shown a token may take it back.
  $("leave").hidden = who.local;
  $("leave").firstElementChild.title = `${who.id}, ${who.role.toLowerCase()}`;
  events.hello(who);
  find.hello(who);
}

function status(now) {
  serverNow = now.now;
  if (epoch !== null && epoch !== now.epoch) {
    // Another log: what is in the list is of one that is no more.
    events.clear();
  }
  epoch = now.epoch;
  state(now);
  numbers.status(now);
  waiting(now, since);
  find.known(now.sessions.listed);
  say(
    $("about"),
    `scalemgr ${now.version} · up ${lasting(now.uptime_s)}, since ${moment(now.since)} UTC · log ${now.epoch}`,
  );
}

function state(now) {
  const wrong = now.checks.filter((check) => !check.ok);
  const ledger = wrong.find((check) => check.name === "ledger");
  if (now.draining) {
    pill("state", "warn", "◐", "Draining");
  } else if (ledger) {
    pill("state", "bad", "✕", "Ledger stuck");
  } else if (wrong.length) {
    pill("state", "bad", "✕", "Not ready");
  } else {
    pill("state", "good", "✓", "Ready");
  }
  trouble(
    wrong.map((check) => `${check.name[0].toUpperCase()}${check.name.slice(1)}: ${check.why || "it is not well"}.`).join(" "),
    wrong.length === 1 && now.draining ? "warn" : "bad",
  );
}

function pill(id, mood, sign, words) {
  const node = $(id);
  const before = node.querySelector(".word").textContent;
  tone(node, mood);
  say(node.querySelector(".sign"), sign);
  say(node.querySelector(".word"), words);
  if (id === "state") {
    document.title = mood === "good" ? "scalemgr" : `${sign} ${words} · scalemgr`;
    if (before !== words && lostSince === null) announce(`State: ${words}.`);
  }
}

function trouble(words, mood = "bad") {
  tone($("trouble"), mood);
  say($("trouble"), words);
}

// For who listens to the page: what has changed, never each event.
function announce(words) {
  say($("announce"), words);
}

// -- the scheme ----------------------------------------------------------------------------------------

const SCHEMES = ["system", "dark", "light"];

function scheme(chosen) {
  const root = document.documentElement;
  if (chosen === "system") delete root.dataset.theme;
  else root.dataset.theme = chosen;
  say($("theme"), `Scheme: ${chosen}`);
}

$("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "system";
  const next = SCHEMES[(SCHEMES.indexOf(now) + 1) % SCHEMES.length];
  scheme(next);
  try {
    localStorage.setItem("scalemgr-theme", next);
  } catch {
    // Then it is for this time only.
  }
});

scheme(document.documentElement.dataset.theme ?? "system");
connect();
