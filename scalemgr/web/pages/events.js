// The list of events: at most two hundred rows, the newest first. Which of them come, the server decides.

import { opener } from "./asking.js";
import { $, amount, cell, clock, count, happened, make, moment, say, theirs } from "./words.js";

const ROWS_MAX = 200;
const NEWS_MAX = 6;
const COLUMNS = 7;
const REFUSED = "request:refused";

export class Events {
  // choose: called with what is to be filtered for; statement: with a login that was chosen.
  constructor(choose, statement) {
    this.choose = choose;
    this.statement = statement;
    this.rows = $("events-rows");
    this.held = null;
    this.missed = 0;
    // What came since the list was drawn last: a burst is drawn once.
    this.fresh = [];
    this.drawing = false;
    this.filter = { login: "", order: "", refused: "" };
    $("pause").addEventListener("click", () => (this.held === null ? this.pause() : this.resume()));
    const form = $("filter");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.filterBy(form.elements);
    });
    form.elements.refused.addEventListener("change", () => form.requestSubmit());
    form.addEventListener("reset", () => this.filterFor("", "", ""));
  }

  // What was refused is told to some only.
  hello(who) {
    $("refused").hidden = !who.audit;
  }

  filterBy({ login, order, refused }) {
    this.filterFor(login.value.trim(), order.value.trim(), refused.checked ? "" : "0");
  }

  filterFor(login, order, refused) {
    this.filter = { login, order, refused };
    $("unfilter").hidden = !login && !order && !refused;
    this.clear();
    this.choose(this.filter);
  }

  clear() {
    this.rows.replaceChildren();
    this.fresh = [];
    if (this.held !== null) this.held = [];
    this.missed = 0;
    this.told();
  }

  pause() {
    this.held = [];
    this.missed = 0;
    $("pause").setAttribute("aria-pressed", "true");
    this.told();
  }

  resume() {
    const held = this.held;
    this.held = null;
    $("pause").setAttribute("aria-pressed", "false");
    if (this.missed > held.length)
      this.add(this.note(`${count(this.missed - held.length)} more came while this was paused`));
    held.forEach((line) => this.add(line));
    this.missed = 0;
    this.told();
  }

  entry(text) {
    if (this.held === null) {
      this.add(text);
      return;
    }
    this.missed += 1;
    this.held.push(text);
    if (this.held.length > ROWS_MAX) this.held.shift();
    this.told();
  }

  more(number) {
    if (this.held === null) this.add(this.note(`${count(number)} more, too many or too long to be shown here`));
    else this.missed += number;
    this.told();
  }

  gap(from, to) {
    this.add(
      this.note(`entries ${count(from)} to ${count(to)} went by while the connection was lost; they are in the log`),
    );
  }

  // -- drawing -----------------------------------------------------------------------------------------

  add(line) {
    this.fresh.push(line);
    if (this.fresh.length > ROWS_MAX) this.fresh.shift();
    if (this.drawing) return;
    this.drawing = true;
    // A page that is not looked at is not drawn; the list stays short all the same.
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = false;
    const lines = this.fresh;
    this.fresh = [];
    // What comes by itself is to be noticed; what was there before, or comes in crowds, is not news.
    const news = this.rows.children.length > 0 && lines.length <= NEWS_MAX;
    const drawn = lines
      .map((line) => (typeof line === "string" ? this.row(JSON.parse(line), line, news) : line))
      .reverse();
    this.rows.prepend(...drawn);
    while (this.rows.children.length > ROWS_MAX) this.rows.lastElementChild.remove();
    this.told();
  }

  told() {
    const shown = this.rows.children.length > 0;
    $("events").querySelector(".scroll").hidden = !shown;
    $("events-empty").hidden = shown;
    const { login, order, refused } = this.filter;
    const of = [login && `login ${login}`, order && `order ${order}`].filter(Boolean).join(", ");
    say(
      $("events-empty"),
      of
        ? `Nothing about ${of} in the latest entries; what comes appears here at once.`
        : "Nothing yet. A deposit made now appears here at once.",
    );
    const paused = this.held === null ? "" : `paused, ${count(this.missed)} new`;
    say($("events-count"), [of, refused && "refused not shown", paused].filter(Boolean).join(" · "));
    say($("pause"), this.held === null ? "Pause" : "Go on");
  }

  note(text) {
    return make("tr", { class: "note", role: "row" }, make("td", { colspan: COLUMNS, role: "cell" }, text));
  }

  row(event, line, news) {
    const { data } = event;
    return make(
      "tr",
      {
        role: "row",
        class: [event.event === REFUSED && "refused", news && "fresh"].filter(Boolean).join(" ") || null,
        "data-seq": event.seq,
      },
      cell(opener(event.seq, COLUMNS, line), "nowrap quiet", "entry"),
      cell(
        make(
          "time",
          { datetime: new Date(event.time * 1000).toISOString(), title: `${moment(event.time)} UTC` },
          clock(event.time),
        ),
        "nowrap quiet",
      ),
      ...this.what(event, data),
    );
  }

  what(event, data) {
    const login = data.login ? this.login(data.login) : "";
    const what = happened(event.event, event.type, data);
    const about = (what, money, text) => [
      cell(what, "what"),
      cell(login, login ? "nowrap" : "none", "login"),
      cell(data.order ? count(data.order).replaceAll(",", "") : "", data.order ? "nowrap" : "none", "order"),
      cell(money, money ? `number main${money.startsWith("-") ? " out" : ""}` : "number none"),
      cell(text, "text"),
    ];
    if (event.event === "trade:event") {
      return about(
        what,
        amount(data.profit, data.digits ?? 2, "always").replace("−", "-"),
        theirs(data.comment ?? ""),
      );
    }
    if (event.event === "balance:event") {
      const digits = Math.max(
        2,
        ...[data.balance, data.credit].map((value) => (String(value).split(".")[1] ?? "").length),
      );
      const credit = data.credit ? `, credit ${amount(data.credit, digits)}` : "";
      const cells = about(what, "", `now ${amount(data.balance, digits)}${credit}`);
      cells.forEach((one) => one.classList.add("quiet"));
      return cells;
    }
    if (event.event === REFUSED) return about(what, "", refusal(data));
    return about(
      what,
      "",
      theirs([data.group, data.name].filter((text) => typeof text === "string" && text).join(" · ")),
    );
  }

  login(login) {
    const button = make(
      "button",
      { type: "button", class: "plain", title: "the statement of this account" },
      String(login),
    );
    button.addEventListener("click", () => this.statement(login));
    return button;
  }
}

// Why, and who asked.
function refusal({ principal, key, refusal }) {
  const who = key === null ? ["without a key"] : ["key ", theirs(key)];
  return make(
    "span",
    null,
    theirs(`${refusal.reason}: ${refusal.message}`),
    make("span", { class: "who" }, " · ", theirs(principal), ", ", ...who),
  );
}
