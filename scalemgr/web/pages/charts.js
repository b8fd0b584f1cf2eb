// The tiles: a number that is big, what it means, and how it was in the last hour.

import { Spark } from "./spark.js";
import { $, bytes, clock, count, figure, inBytes, lasting, make, say, tone } from "./words.js";

const HOUR_S = 3600;
const SHORTEST_S = 60;
const EVERY_S = 1;
// So many rows of the hour are fewer than ten minutes.
const YOUNG = 60;

class Tile {
  constructor(id, title, spark = null) {
    this.value = make("span");
    this.unit = make("span", { class: "unit" });
    this.more = make("p", { class: "more" });
    this.spark = spark;
    this.node = make(
      "article",
      { class: "tile", id: `tile-${id}`, "aria-labelledby": `tile-${id}-title` },
      make("h2", { id: `tile-${id}-title` }, title),
      make("p", { class: "value" }, this.value, " ", this.unit),
      this.more,
    );
    this.node.append(spark ? spark.node : make("div", { class: "picture bare" }));
    $("tiles").append(this.node);
  }

  // folder: a path that goes with what is said.
  show(value, unit, more, mood = "good", folder = "") {
    say(this.value, value);
    say(this.unit, unit);
    if (this.more.textContent !== more + folder) this.more.replaceChildren(more, ...steps(folder));
    tone(this.node, mood);
  }
}

const spark = (...of) => new Spark(...of);

// A path is broken between folders, and within a name only if that is longer than a line.
export const steps = (path) => path.split(/(?<=\/)(?=.)/).map((step) => make("span", { class: "step" }, step));

export class Numbers {
  constructor() {
    this.tiles = {
      rate: new Tile("rate", "Answers", spark("Answers a second", "answers", "/s")),
      latency: new Tile(
        "latency",
        "Deposits, p99, last minute",
        spark("The time that 99 of 100 deposits and others that wait do not exceed", "waits_p99_ms", " ms"),
      ),
      waiters: new Tile("waiters", "Waiting for an event", spark("Requests that wait", "waiters", "")),
      timeouts: new Tile("timeouts", "Time-outs, last hour", spark("Time-outs a second", "timeouts", "/s")),
      head: new Tile("head", "Head of the log", spark("Entries booked a second", "booked", "/s", "booked, peak")),
      commit: new Tile("commit", "Last commit", spark("Requests in the queue", "queue", "", "queue, peak")),
      sessions: new Tile("sessions", "Sessions", spark("Sessions", "sessions", "")),
      ledger: new Tile("ledger", "Ledger"),
    };
    this.meter = make("meter", {
      min: 0,
      max: 1,
      "aria-label": "Part of the ledger's and the free space that is free",
    });
    this.tiles.ledger.node.querySelector(".picture").append(this.meter);
    this.tiles.latency.node.title =
      "How long 99 of 100 deposits and other commands that wait for their event took at most; beside it, the same of " +
      "all other commands";
    this.minute = [];
    this.hour = [];
    this.index = null;
    $("hour").addEventListener("toggle", () => this.table());
    $("rest").addEventListener("click", () => this.rest());
  }

  // On a phone: all tiles, or the first four and those that are not well.
  rest() {
    const all = $("tiles").classList.toggle("all");
    $("rest").setAttribute("aria-expanded", String(all));
    say($("rest"), all ? "Fewer numbers" : "More numbers");
  }

  history(told) {
    this.index = Object.fromEntries(told.columns.map((name, at) => [name, at]));
    this.minute = told.minute.rows;
    this.hour = told.hour.rows;
    this.pictures();
  }

  // What is older is by ten seconds, the rest by the second: the whole last minute while there is not much more, else
  // only what is not in the hour yet.
  rows() {
    const time = this.index.time;
    if (this.hour.length < YOUNG && this.minute.length) {
      const begins = this.minute[0][time] - EVERY_S;
      return [...this.hour.filter((row) => row[time] <= begins + 0.5), ...this.minute];
    }
    const ends = this.hour.length ? this.hour[this.hour.length - 1][time] : 0;
    return [...this.hour, ...this.minute.filter((row) => row[time] > ends)];
  }

  pictures() {
    const rows = this.rows();
    if (!rows.length) return;
    const end = rows[rows.length - 1][this.index.time];
    const start = Math.min(rows[0][this.index.time], end - SHORTEST_S);
    say($("span"), end - start > HOUR_S - 60 ? "last hour" : `last ${lasting(end - start)}`);
    for (const tile of Object.values(this.tiles)) tile.spark?.show(rows, this.index, start, end);
  }

  status(now) {
    if (this.index === null) return;
    const { minute, hour } = now.rows;
    if (minute) {
      this.minute.push(minute);
      if (this.minute.length > 60) this.minute.shift();
    }
    if (hour) {
      this.hour.push(hour);
      if (this.hour.length > HOUR_S / 10) this.hour.shift();
      this.table();
    }
    this.pictures();
    this.figures(now);
  }

  figures(now) {
    const { tiles } = this;
    const last = this.minute.length ? this.minute[this.minute.length - 1] : null;
    const { minute } = now.rates;
    tiles.rate.show(
      last ? figure(last[this.index.answers]) : "–",
      "a second",
      minute ? `last minute ${figure(minute.answers)}/s · failed ${figure(minute.failed)}/s` : "no measurement yet",
      minute?.failed ? "warn" : "good",
    );
    this.latency(minute);
    const { waiters } = now;
    const first = waiters.oldest[0];
    tiles.waiters.show(
      count(waiters.count),
      "",
      waiters.count
        ? `oldest ${lasting(waiters.oldest_s)}${first?.order ? `, order ${first.order}` : ""}`
        : "nobody waits",
      waiters.oldest_s > 2 ? "warn" : "good",
    );
    const late = this.total(this.index.timeouts);
    const { timeouts } = now.totals;
    tiles.timeouts.show(
      count(late),
      "",
      `since the start: ${count(timeouts.void)} void, ${count(timeouts.pending)} pending` +
        (timeouts.question ? `, ${count(timeouts.question)} of questions` : ""),
      late ? "warn" : "good",
    );
    tiles.head.show(
      count(now.seq),
      "",
      now.views.behind ? `views are ${count(now.views.behind)} behind` : "views are up with it",
      now.views.failing ? "bad" : "good",
    );
    this.commit(now);
    const { sessions, totals } = now;
    const refused = Object.values(totals.refused_connections).reduce((sum, one) => sum + one, 0);
    tiles.sessions.show(
      count(sessions.count),
      "",
      `${inBytes(sessions.unread_bytes)} unread · ${count(refused)} refused · ${count(totals.slow_readers)} cut off`,
    );
    this.ledger(now.ledger);
  }

  // What takes long by itself, as a table does, or a new account with its password, is no trouble of deposits.
  latency(minute) {
    const p99 = minute?.waits_p99_ms ?? null;
    const others = minute?.others_p99_ms ?? null;
    const said = p99 === null ? "there were none" : `median ${figure(minute.waits_p50_ms)} ms`;
    this.tiles.latency.show(
      figure(p99),
      p99 === null ? "" : "ms",
      said + (others === null ? "" : ` · all others ${figure(others)} ms`),
      p99 > 1000 ? "warn" : "good",
    );
  }

  commit(now) {
    const { commit } = now;
    const failing = commit.failing || commit.under_way_s > 5;
    const when = commit.last === null ? "–" : lasting(Math.max(0, now.now - commit.last));
    let how = commit.last === null ? "none since the start" : `took ${lasting(commit.seconds)}`;
    if (commit.failing) how = "the latest one failed";
    if (commit.under_way_s > 5) how = `at one for ${lasting(commit.under_way_s)}`;
    this.tiles.commit.show(
      when,
      commit.last === null ? "" : "ago",
      `${how} · ${count(now.queue)} queued · ${count(commit.failures)} failed`,
      failing ? "bad" : "good",
    );
  }

  ledger(ledger) {
    const size = Object.values(ledger.bytes).reduce((sum, one) => sum + one, 0);
    const [value, unit] = ledger.free_bytes === null ? ["in memory", ""] : bytes(size);
    const free = ledger.free_bytes === null ? "nothing of it stays" : `${inBytes(ledger.free_bytes)} free`;
    const little = ledger.free_bytes !== null && ledger.free_bytes < 1024 ** 3;
    this.tiles.ledger.show(
      value,
      unit,
      ledger.folder ? `${free} · ` : free,
      ledger.refusal ? "bad" : little ? "warn" : "good",
      ledger.folder,
    );
    this.meter.hidden = ledger.free_bytes === null;
    if (ledger.free_bytes !== null) this.meter.value = ledger.free_bytes / (ledger.free_bytes + size || 1);
  }

  // How many there were, of what the rows have a rate of.
  total(at, rows = this.rows()) {
    const old = new Set(this.hour);
    return Math.round(rows.reduce((sum, row) => sum + row[at] * (old.has(row) ? 10 : 1), 0));
  }

  // The same for those who do not look at pictures: five minutes a row.
  table() {
    if (!$("hour").open || this.index === null) return;
    const { time, answers, booked, waits_p50_ms, waits_p99_ms, others_p99_ms, waiters, timeouts, seq } = this.index;
    const parts = new Map();
    for (const row of this.rows()) {
      const key = Math.ceil(row[time] / 300);
      parts.set(key, [...(parts.get(key) ?? []), row]);
    }
    const most = (rows, at) =>
      rows.reduce((high, row) => (row[at] === null ? high : Math.max(high ?? 0, row[at])), null);
    const mean = (rows, at) => rows.reduce((sum, row) => sum + row[at], 0) / rows.length;
    const lines = [...parts.values()].reverse().map((rows) => {
      const last = rows[rows.length - 1];
      const values = [
        figure(mean(rows, answers)),
        figure(mean(rows, booked)),
        figure(most(rows, waits_p50_ms)),
        figure(most(rows, waits_p99_ms)),
        figure(most(rows, others_p99_ms)),
        count(most(rows, waiters)),
        count(this.total(timeouts, rows)),
        count(last[seq]),
      ];
      return make(
        "tr",
        null,
        make("td", null, clock(last[time])),
        ...values.map((value) => make("td", { class: "number" }, value)),
      );
    });
    $("hour")
      .querySelector("tbody")
      .replaceChildren(...lines);
  }
}
