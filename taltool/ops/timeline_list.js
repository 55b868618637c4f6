"use strict";
/* What the other scripts stand on: elements, times and colours as text, and lists of any length. */
const at = id => document.getElementById(id);

function make(tag, parent, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  parent.append(element);
  return element;
}

/* Seconds as m:ss.s, or h:mm:ss.s, with so many digits behind the point. */
function clock(seconds, digits = 1) {
  const unit = 10 ** digits, parts = Math.round(Math.max(0, seconds) * unit), whole = Math.floor(parts / unit);
  const pad = value => String(value).padStart(2, "0"), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return (hours ? `${hours}:${pad(minutes)}` : minutes) + ":" + pad(whole % 60) + (digits ? "." + String(parts % unit).padStart(digits, "0") : "");
}

const brief = score => Math.abs(score) >= 0.01 || !score ? score.toFixed(2) : score.toPrecision(1);

function rgb(colour) { return [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16)); }
const light = colour => { const [r, g, b] = rgb(colour); return 0.299 * r + 0.587 * g + 0.114 * b; };
const ink = colour => light(colour) < 140 ? "#ffffff" : "#1c1e21";
/* On dark paper, dark colours are mixed with white. */
const brighter = colour => "#" + rgb(colour).map(value => Math.round(value + (255 - value) * 0.4).toString(16).padStart(2, "0")).join("");

/* A list of any length: only the rows in view are elements. */
class List {
  constructor(box, height, fill, pick) {
    // Where the list is scrolled to, and how high it is: asking the browser costs a layout.
    Object.assign(this, { box, height, fill, items: [], chosen: null, top: 0, room: box.clientHeight });
    this.inner = make("div", box, { className: "inner" });
    const drawIfMoved = () => { if (this.range().join() !== this.drawn) this.draw(); };
    box.addEventListener("scroll", () => { this.top = box.scrollTop; drawIfMoved(); });
    new ResizeObserver(() => { this.room = box.clientHeight; drawIfMoved(); }).observe(box);
    box.addEventListener("click", event => {
      const row = event.target.closest("[role=option]");
      if (row) pick(this.items[row.dataset.number]);
    });
  }

  set(items, chosen, empty) {
    this.items = items;
    this.empty = empty;
    this.top = Math.max(0, Math.min(this.top, items.length * this.height - this.room));
    this.choose(chosen, false);
  }

  choose(item, reveal = true) {
    this.chosen = item;
    const top = this.items.indexOf(item) * this.height;
    if (reveal && top >= 0 && (top < this.top || top + this.height > this.top + this.room)) {
      this.inner.style.height = this.items.length * this.height + "px";
      this.box.scrollTop = top - (this.room - this.height) / 2;
      this.top = this.box.scrollTop;
    }
    this.draw();
  }

  /* The first row to make, and the one after the last: some more than are in view. */
  range() {
    const first = Math.max(0, Math.floor(this.top / this.height / 4) * 4 - 4);
    return [first, Math.min(this.items.length, first + Math.ceil(this.room / this.height) + 12)];
  }

  draw() {
    const [first, last] = this.range();
    this.drawn = `${first},${last}`;
    this.inner.replaceChildren();
    this.inner.style.height = this.items.length * this.height + "px";
    this.box.removeAttribute("aria-activedescendant");
    if (!this.items.length) make("div", this.inner, { className: "empty", textContent: this.empty });
    for (let number = first; number < last; number++) {
      const item = this.items[number], row = make("div", this.inner, { id: `${this.box.id}-${number}` });
      row.setAttribute("role", "option");
      row.setAttribute("aria-setsize", this.items.length);
      row.setAttribute("aria-posinset", number + 1);
      row.setAttribute("aria-selected", item === this.chosen);
      row.dataset.number = number;
      row.style.cssText = `top: ${number * this.height}px; height: ${this.height}px`;
      if (item === this.chosen) this.box.setAttribute("aria-activedescendant", row.id);
      this.fill(row, item);
    }
  }
}

