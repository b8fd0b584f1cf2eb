// How things are written: numbers, times, texts of strangers, and elements made of them. Nothing here or elsewhere
// makes HTML out of data: what a client wrote is only ever the text of a text node.

const GROUPED = new Intl.NumberFormat("en");

export const count = (value) => (value === null || value === undefined ? "–" : GROUPED.format(value));

// A rate, or milliseconds: two or three figures are enough for the eye.
export function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : 2;
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  if (value === null || value === undefined) return ["–", ""];
  let step = 0;
  while (value >= 1024 && step < UNITS.length - 1) {
    value /= 1024;
    step += 1;
  }
  return [figure(value), UNITS[step]];
}

export const inBytes = (value) => bytes(value).join(" ");

// An amount: how many decimals, the currency says.
export function amount(value, digits, sign = "auto") {
  return new Intl.NumberFormat("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: sign,
  }).format(value);
}

const two = (value) => String(value).padStart(2, "0");

// The time of day, UTC; with the date if it is not that of now.
export function clock(seconds) {
  const at = new Date(seconds * 1000);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

export const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
export const moment = (seconds) => `${day(seconds)} ${clock(seconds)}`;
export const since = (seconds, now) => (day(seconds) === day(now) ? clock(seconds) : moment(seconds));

export function lasting(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// -- elements ----------------------------------------------------------------------------------------

export const $ = (id) => document.getElementById(id);

// Write only what has changed: a screen reader, a selection and the browser are left alone otherwise.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function tone(node, name) {
  if (node.dataset.tone !== name) node.dataset.tone = name;
}

export function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// -- texts of strangers ------------------------------------------------------------------------------

// What is not to be seen, or turns around what is: it is shown as what it is. (Joiners stay, for they make letters.)
const UNSEEN = /([\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}])/u;
const JOINERS = "\u200c\u200d";
const LONG = 160;

function pieces(text) {
  return text
    .split(UNSEEN)
    .filter((part) => part !== "")
    .map((part) => {
      if (!UNSEEN.test(part) || JOINERS.includes(part)) return part;
      const code = `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
      return make("span", { class: "point" }, code);
    });
}

// As an element of its own, so that its direction is its own, too; what is long is opened by who wants it.
export function theirs(text) {
  const letters = Array.from(String(text));
  if (letters.length <= LONG) return make("bdi", null, ...pieces(letters.join("")));
  const start = make(
    "summary",
    null,
    make("bdi", null, ...pieces(letters.slice(0, LONG - 40).join("")), "…"),
    ` (${letters.length} characters)`,
  );
  return make("details", null, start, make("bdi", null, ...pieces(letters.join(""))));
}

// -- rows ---------------------------------------------------------------------------------------------

// A cell of a table that is a list of cards on a phone.
export function cell(content, kind = "", name = null) {
  const node = make("td", { role: "cell", class: kind || null, "data-name": name });
  node.append(content);
  return node;
}

const NAMES = { 6: "Deposit", 7: "Credit in", 8: "Withdrawal", 9: "Credit out", 14: "Bonus", 15: "Commission" };
const CHANGES = ["", ", changed", ", taken back"];

// What a movement of money is called; the numbers are TradeCommand's, EventRecordType's and TradeState's.
export function movement(cmd, type, state) {
  const name = NAMES[cmd] ?? `Trade (${cmd})`;
  if (state === 17) return `${name}, to be approved`;
  if (state === 18) return `${name}, declined`;
  return name + (CHANGES[type] ?? "");
}

const WHAT = { "user:event": "Account", "group:event": "Group" };
const CHANGED = [" opened", " changed", " deleted"];

// What an event is called.
export function happened(event, type, data) {
  if (event === "trade:event") return movement(data.cmd, type, data.state);
  if (event === "balance:event") return "Balance";
  if (event === "request:refused") return "✕ Refused";
  return (WHAT[event] ?? event) + (CHANGED[type] ?? "");
}
