// A picture of one number, and the same in words for those who do not look at pictures.

import { clock, figure, lasting, make, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 40;

const draw = (tag, attributes, ...children) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

// One line over the last hour, or as much of it as there has been.
export class Spark {
  // title: what it is, in words; peak: the same on the picture, in short.
  constructor(title, column, unit, peak = "peak") {
    this.title = title;
    this.column = column;
    this.unit = unit;
    this.peak = peak;
    this.area = draw("path", { class: "area" });
    this.stroke = draw("path", { class: "stroke" });
    this.here = draw("path", { class: "here" });
    this.svg = draw(
      "svg",
      {
        class: "spark",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
      },
      this.area,
      this.stroke,
      this.here,
    );
    this.from = make("span");
    this.most = make("span");
    this.node = make(
      "div",
      { class: "picture" },
      make("div", { class: "scale", "aria-hidden": "true" }, this.from, this.most),
      this.svg,
    );
    this.points = [];
    this.pointed = null;
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.point(null));
  }

  show(rows, index, start, end) {
    const at = index[this.column];
    const time = index.time;
    const known = rows.filter((row) => row[at] !== null);
    const most = known.reduce((high, row) => Math.max(high, row[at]), 0);
    const x = (row) => (WIDTH * (row[time] - start)) / (end - start);
    const y = (row) => HEIGHT - 1 - ((HEIGHT - 4) * row[at]) / Math.max(most, 1e-9);
    // Where there was nothing to measure, there is no line.
    let line = "",
      area = "",
      begun = null,
      last = null;
    const close = () => {
      if (begun !== null) area += `L${last} ${HEIGHT}L${begun} ${HEIGHT}Z`;
      begun = null;
    };
    for (const row of rows) {
      if (row[at] === null) {
        close();
        continue;
      }
      const spot = `${x(row).toFixed(1)} ${y(row).toFixed(1)}`;
      last = x(row).toFixed(1);
      line += begun === null ? `M${spot}h0.01` : `L${spot}`;
      area += begun === null ? `M${spot}` : `L${spot}`;
      begun ??= last;
    }
    close();
    this.stroke.setAttribute("d", line);
    this.area.setAttribute("d", area);
    this.points = known.map((row) => [x(row), row[time], row[at]]);
    const latest = known.length ? known[known.length - 1][at] : null;
    const words =
      `${this.title}, in the last ${lasting(end - start)}: ` +
      (known.length ? `now ${figure(latest)}${this.unit}, at most ${figure(most)}${this.unit}` : "nothing to show");
    if (this.svg.getAttribute("aria-label") !== words) this.svg.setAttribute("aria-label", words);
    this.ends = [`${lasting(end - start)} ago`, known.length ? `${this.peak} ${figure(most)}${this.unit}` : ""];
    this.scale();
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const x = event === null ? null : (WIDTH * (event.clientX - box.left)) / box.width;
    this.pointed =
      x === null || !this.points.length
        ? null
        : this.points.reduce((best, spot) => (Math.abs(spot[0] - x) < Math.abs(best[0] - x) ? spot : best));
    this.scale();
  }

  scale() {
    const spot = this.pointed;
    this.here.setAttribute("d", spot ? `M${spot[0].toFixed(1)} 0V${HEIGHT}` : "");
    const [from, most] = spot ? [clock(spot[1]), `${figure(spot[2])}${this.unit}`] : (this.ends ?? ["", ""]);
    say(this.from, from);
    say(this.most, most);
  }
}
