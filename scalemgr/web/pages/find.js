// Where is a payment? By the id of who asked for it, and its key.

import { ask, refusal } from "./asking.js";
import { $, amount, count, happened, make, moment, say, theirs } from "./words.js";

const FOUND = {
  done: ["good", "✓ Booked"],
  refused: ["bad", "✕ Refused"],
  queued: ["warn", "… Queued"],
  pending: ["warn", "… Not known yet"],
  unknown: ["idle", "? Unknown"],
};
const WORDS = {
  done: "It is booked. A repeat with this key gets the same answer and books nothing.",
  refused: "It was refused, for good: nothing was booked, and a repeat with this key is refused again.",
  queued: "It waits for its commit: nothing is booked yet.",
  pending: "It is being committed, or it is not known yet whether it was. Look again in a moment.",
};

export class Find {
  // statement: called with a login that was chosen.
  constructor(statement) {
    this.statement = statement;
    this.asked = 0;
    this.ids = "";
    this.form = $("payment");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { id, key } = this.form.elements;
      this.look(id.value.trim(), key.value);
    });
  }

  hello(who) {
    const { id } = this.form.elements;
    // Who may not ask for others asks for himself.
    if (!who.audit) id.value = who.id;
    id.readOnly = !who.audit;
  }

  // Those who are connected can be chosen from.
  known(sessions) {
    const ids = [...new Set(sessions.map((session) => session.principal).filter(Boolean))].sort();
    if (this.ids === ids.join("\n")) return;
    this.ids = ids.join("\n");
    $("ids").replaceChildren(...ids.map((value) => make("option", { value })));
  }

  async look(id, key) {
    const number = (this.asked += 1);
    say($("find-said"), "Looking it up …");
    $("find-said").classList.remove("wrong");
    const [status, told] = await ask("/payment", { id, key });
    // Only the answer to the latest question is of interest.
    if (number !== this.asked) return;
    const found = status === 200;
    $("find-found").hidden = !found;
    $("find-said").classList.toggle("wrong", !found);
    say($("find-said"), found ? (WORDS[told.state] ?? unknown(id, key)) : refusal(told));
    if (found) $("find-found").replaceChildren(...this.facts(told).map(fact));
  }

  facts({ id, key, state, order, entry }) {
    const [tone, word] = FOUND[state];
    const facts = [["State", make("span", { class: "state", "data-tone": tone }, word)]];
    if (entry !== null) facts.push(...this.booked(entry, state));
    if (order) facts.push(["Order", String(order)]);
    if (entry !== null) facts.push([state === "refused" ? "Refused, UTC" : "Booked, UTC", moment(entry.time)]);
    if (entry !== null) facts.push(["Entry", count(entry.seq)]);
    return [...facts, ["Asked by", theirs(id)], ["Key", theirs(key)]];
  }

  booked({ event, type, login, data }, state) {
    const facts = [];
    if (state === "refused") facts.push(["Reason", theirs(`${data.reason}: ${data.message}`)]);
    else facts.push(["What", happened(event, type, data)]);
    if (event === "trade:event")
      facts.push(["Amount", amount(data.profit, data.digits ?? 2, "always").replace("−", "-")]);
    const account = login || data.login;
    if (account) facts.push(["Statement of login", this.login(account)]);
    return facts;
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

const fact = ([name, value]) => make("div", null, make("dt", null, name), make("dd", null, value));

function unknown(id, key) {
  const spaces = key === key.trim() ? "" : " The key as you gave it begins or ends with a space.";
  return (
    `Nothing is booked and nothing is under way by ${id} with this key: it never came, was not taken, or was withdrawn, ` +
    `or its key was forgotten since. Ids and keys are told apart to the letter.${spaces}`
  );
}
