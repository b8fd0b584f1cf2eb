// One account's statement, the newest first, a page at a time. All pages are as of one entry, whatever is booked meanwhile.

import { ask, opener, refusal } from "./asking.js";
import { $, amount, cell, count, make, moment, movement, say, theirs } from "./words.js";

const DAY_S = 86400;
const COLUMNS = 9;

export class Statement {
  constructor() {
    this.asked = 0;
    this.form = $("ask");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.first();
    });
    $("older").addEventListener("click", () => this.turn(1));
    $("newer").addEventListener("click", () => this.turn(-1));
  }

  // Somebody has chosen an account elsewhere on the page.
  of(login) {
    this.form.elements.login.value = login;
    // Before its rows are there the page may be too short to be scrolled that far.
    this.first().then(() => {
      $("statement").scrollIntoView({ block: "start" });
      $("statement").focus({ preventScroll: true });
    });
  }

  first() {
    const { login, from, to } = this.form.elements;
    const query = { login: login.value.trim() };
    if (from.value) query.from = Date.parse(from.value) / 1000;
    if (to.value) query.to = Date.parse(to.value) / 1000 + DAY_S - 1;
    this.query = query;
    // Where each page begins: after which entry.
    this.starts = [0];
    this.page = 0;
    return this.ask();
  }

  turn(by) {
    this.page += by;
    this.ask();
  }

  async ask() {
    const number = (this.asked += 1);
    const query = { ...this.query, after_seq: this.starts[this.page] };
    if (this.page > 0) query.as_of = this.asOf;
    say($("statement-said"), "Looking it up …");
    $("statement-said").classList.remove("wrong");
    const [status, told] = await ask("/statement", query);
    // Only the answer to the latest question is of interest.
    if (number !== this.asked) return;
    if (status === 200) this.show(told);
    else this.refused(told);
  }

  refused(told) {
    $("statement-found").hidden = true;
    $("statement-said").classList.add("wrong");
    $("statement-said").hidden = false;
    const words =
      told.reason === "RET_USER_NOT_FOUND"
        ? `There is no account ${this.query.login}, or it is not for you to see.`
        : refusal(told);
    say($("statement-said"), words);
  }

  show(told) {
    this.asOf = told.seq;
    const at = Object.fromEntries(told.structure.map((name, place) => [name, place]));
    const digits = decimals(told, at);
    const money = (value, sign = "auto") => amount(value, digits, sign).replace("−", "-");
    const rows = told.rows;
    const empty = told.count === 0;
    say(
      $("statement-said"),
      empty
        ? `No movements on account ${told.login}${this.query.from || this.query.to ? " in this time" : ""}.`
        : `Account ${told.login}: ${count(told.count)} ${told.count === 1 ? "movement" : "movements"}.`,
    );
    $("statement-sums").replaceChildren(...sums(told, money));
    $("statement-rows").replaceChildren(
      ...rows.map((row) =>
        make(
          "tr",
          { role: "row" },
          cell(opener(row[at.seq], COLUMNS), "nowrap quiet", "entry"),
          cell(moment(row[at.time]), "nowrap"),
          cell(movement(row[at.cmd], row[at.type]), "what"),
          cell(String(row[at.order]), "nowrap", "order"),
          moved(row[at.amount], money, "main"),
          moved(row[at.credit_amount], money, row[at.amount] ? "" : "main", "credit"),
          cell(money(row[at.balance]), "number", "balance after"),
          cell(money(row[at.credit]), row[at.credit] ? "number" : "number none", "credit after"),
          cell(theirs(row[at.comment] ?? ""), row[at.comment] ? "text" : "text none"),
        ),
      ),
    );
    $("statement-box").hidden = empty;
    $("statement-box").scrollTop = 0;
    $("statement-found").hidden = false;
    this.pages(told, at);
  }

  pages(told, at) {
    const { rows } = told;
    if (rows.length) this.starts[this.page + 1] = rows[rows.length - 1][at.seq];
    if (this.page === 0) this.size = rows.length;
    const before = this.page * this.size;
    $("newer").disabled = this.page === 0;
    $("older").disabled = before + rows.length >= told.count;
    $("newer").parentElement.hidden = rows.length === told.count;
    say($("paging"), `${count(before + 1)} to ${count(before + rows.length)} of ${count(told.count)}`);
  }
}

// What did not move is not worth a nought.
function moved(value, money, kind, name = null) {
  if (!value) return cell("", "number none");
  return cell(money(value, "always"), `number ${kind} ${value < 0 ? "out" : ""}`.trim(), name);
}

function sums(told, money) {
  const credit = told.opening_credit || told.closing_credit;
  const both = (balance, of) => money(balance) + (credit ? `, credit ${money(of)}` : "");
  return [
    ["Account", String(told.login)],
    ["Group", told.group],
    ["Currency", told.currency],
    ["Before", both(told.opening_balance, told.opening_credit)],
    ["After", both(told.closing_balance, told.closing_credit)],
    ["As of entry", count(told.seq)],
  ].map(([name, value]) => make("div", null, make("dt", null, name), make("dd", null, value)));
}

// As many decimals as the currency has, or as are there, for the server knows more currencies than the browser.
function decimals(told, at) {
  const { minimumFractionDigits: usual } = new Intl.NumberFormat("en", {
    style: "currency",
    currency: told.currency,
  }).resolvedOptions();
  const values = told.rows.flatMap((row) => [row[at.amount], row[at.credit_amount], row[at.balance], row[at.credit]]);
  return Math.max(
    usual,
    ...[told.opening_balance, told.closing_balance, ...values].map(
      (value) => (String(value).split(".")[1] ?? "").length,
    ),
  );
}
