/* The chart: what part of the video it shows, its drawing, and what the pointer does on it. */
const RULER = 24, GAP = 5, LANE = 22, LEAST_LANE = 3, MOST_LANES = 60, ROWS_HEIGHT = 250;
// A row is divided for so many lanes: few steps, so that heights are calm while the view moves.
const DIVISIONS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, MOST_LANES];
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];

class Chart {
  /* told: what the page answers: colour(label) with fill and ink, name(label), seek(seconds), pick(item), tip(item, x, y). */
  constructor(told) {
    Object.assign(this, { told, from: 0, to: 1, width: 0, rows: [], video: null, chosen: null, now: null, widths: new Map() });
    this.waiting = false;
    this.theme();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.theme());
    // Asking for sizes makes the browser lay the page out; they are kept.
    this.width = at("plot").clientWidth;
    new ResizeObserver(() => {
      const width = at("plot").clientWidth;
      if (width === this.width) return;
      this.width = width;
      this.arrange();
    }).observe(at("plot"));
    this.listen();
  }

  theme() {
    const style = getComputedStyle(document.documentElement);
    this.paint = Object.fromEntries(["ink", "faint", "line", "paper", "lane"].map(name => [name, style.getPropertyValue("--" + name).trim()]));
    this.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  }

  open(video) {
    this.video = video;
    this.chosen = null;
    [this.from, this.to] = [0, video.extent];
  }

  /* Overlapping segments of a row go to further lanes; a row of many lanes has flat ones. */
  arrange() {
    if (!this.video) return;
    const rows = this.video.rows.map(row => {
      const shown = row.hidden ? [] : row.shown, ends = [];
      for (const item of row.byStart) {
        if (row.hidden || !item.shown) continue;
        let lane = 0;
        while (lane < ends.length && ends[lane] > item.start) lane++;
        lane = Math.min(lane, MOST_LANES - 1);
        ends[lane] = Math.max(ends[lane] || 0, item.end);
        item.lane = lane;
      }
      return { row, shown, lanes: Math.max(1, ends.length) };
    });
    const room = Math.max(ROWS_HEIGHT / rows.length, 46);
    let top = RULER + GAP;
    for (const each of rows) {
      const lane = Math.min(LANE, Math.max(LEAST_LANE, room / each.lanes));
      each.height = Math.max(each.row.scores ? 46 : 28, each.lanes * lane + 6);
      each.top = top;
      top += each.height + GAP;
    }
    this.rows = rows;
    this.height = top;
    rows.forEach((each, n) => {
      const { style } = at("names").children[n + 1];
      if (style.height !== `${each.height}px`) style.cssText = `height: ${each.height}px; margin-bottom: ${GAP}px`;
    });
    this.draw();
    this.drawOverview();
  }

  context(canvas, height) {
    const ratio = devicePixelRatio || 1, { width } = this;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      canvas.style.height = height + "px";
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  get span() { return this.to - this.from; }
  x(seconds) { return (seconds - this.from) / this.span * this.width; }
  seconds(x) { return this.from + x / this.width * this.span; }

  /* Draw once before the next frame, however often it is asked for. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  draw() {
    if (!this.video || !this.width) return;
    const context = this.context(at("canvas"), this.height), { width, paint } = this;
    this.background(context);
    context.font = "11.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (const each of this.rows) {
      const inView = each.shown.filter(item => item.end >= this.from && item.start <= this.to);
      const lanes = 1 + inView.reduce((most, item) => Math.max(most, item.lane), 0);
      // Lanes that are in view share the row, as high as they may be.
      each.lane = Math.min(LANE, (each.height - 6) / Math.min(each.lanes, DIVISIONS.find(count => count >= lanes)));
      for (let n = inView.length - 1; n >= 0; n--) this.segment(context, each, inView[n], width);  // The best on top: drawn last.
    }
    const end = this.video.duration === null ? Infinity : this.x(this.video.duration);
    if (end < width) {
      context.fillStyle = paint.faint;
      for (let y = RULER; y < this.height; y += 6) context.fillRect(end, y, 1, 3);
    }
    this.outline();
    this.follow(this.now);
    at("range").textContent = `${clock(this.from)} \u2013 ${clock(this.to)}`;
    at("window").style.transform = `translateX(${this.from / this.video.extent * this.width}px)`;
    at("window").style.width = Math.max(6, this.span / this.video.extent * this.width) + "px";
    at("window").hidden = this.span >= this.video.extent;
  }

  box(each, item) {
    const left = Math.max(-4, this.x(item.start)), right = Math.min(this.width + 4, this.x(item.end));
    return { left, top: each.top + 3 + item.lane * each.lane, width: Math.max(2, right - left), height: Math.max(2, each.lane - (each.lane > 6 ? 2 : 1)) };
  }

  segment(context, each, item, width) {
    const { left, top, width: wide, height } = this.box(each, item), colour = this.told.colour(item.label);
    context.fillStyle = colour.fill;
    context.fillRect(left, top, wide > 4 ? wide - 1 : wide, height);
    if (height < 11 || wide < 26) return;
    const from = Math.max(left, 0) + 5, room = Math.min(left + wide, width) - from - 4, name = this.told.name(item.label);
    const texts = item.score === null ? [name] : [`${name} ${brief(item.score)}`, name];
    const text = texts.find(each => this.measure(context, each) <= room) ?? this.cut(context, name, room);
    context.fillStyle = colour.ink;
    if (text) context.fillText(text, from, top + height / 2 + 0.5);
  }

  measure(context, text) {
    if (!this.widths.has(text)) this.widths.set(text, context.measureText(text).width);
    return this.widths.get(text);
  }

  cut(context, text, room) {
    const letters = Array.from(text), kept = Math.floor(letters.length * room / this.measure(context, text)) - 1;
    return kept > 1 ? letters.slice(0, kept).join("") + "\u2026" : "";
  }

  /* The ruler, and the ground of the rows. */
  background(context) {
    const { width, paint, span } = this, step = STEPS.find(each => each >= 84 * span / width) || 7200;
    context.fillStyle = paint.lane;
    for (const each of this.rows) context.fillRect(0, each.top, width, each.height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    for (let n = Math.ceil(this.from / step); n * step <= this.to; n++) {
      const x = this.x(n * step), text = clock(n * step, step < 1 ? 1 : 0), half = context.measureText(text).width / 2;
      context.fillStyle = paint.line;
      context.fillRect(Math.round(x), RULER - 5, 1, this.height);
      context.fillStyle = paint.faint;
      context.fillText(text, Math.min(width - 2 * half, Math.max(0, x - half)), RULER - 9);
    }
  }

  /* All rows flat; of the segments in one column of pixels the best shows. */
  drawOverview() {
    const context = this.context(at("small"), 22), { width } = this, share = 18 / Math.max(1, this.rows.length);
    this.rows.forEach((each, n) => {
      const columns = new Array(width + 1).fill(null);
      for (let k = each.shown.length - 1; k >= 0; k--) {
        const item = each.shown[k], first = Math.floor(item.start / this.video.extent * width);
        columns.fill(item.label, first, Math.max(first + 1, Math.round(item.end / this.video.extent * width)));
      }
      for (let first = 0, x = 1; x <= width; x++) {
        if (columns[x] === columns[first] && x < width) continue;
        if (columns[first] !== null) {
          context.fillStyle = this.told.colour(columns[first]).fill;
          context.fillRect(first, 2 + n * share, x - first, Math.max(1, share - 1));
        }
        first = x;
      }
    });
  }

  outline(item = this.chosen) {
    const each = item && this.rows.find(row => row.shown.includes(item)), outline = at("outline");
    outline.hidden = !each || item.end < this.from || item.start > this.to;
    if (outline.hidden) return;
    const { left, top, width, height } = this.box(each, item);
    outline.style.transform = `translate(${left - 2}px, ${top - 2}px)`;
    outline.style.width = width + 4 + "px";
    outline.style.height = height + 4 + "px";
  }

  /* Put the playhead at a moment, and turn the page where a running video leaves it. */
  follow(seconds, running = false) {
    this.now = seconds;
    for (const id of ["playhead", "small-playhead"]) at(id).hidden = seconds === null;
    if (seconds === null) return;
    if (running && (seconds > this.to || seconds < this.from)) this.show(seconds - 0.05 * this.span, this.span);
    const x = this.x(seconds);
    at("playhead").hidden = x < 0 || x > this.width;
    at("playhead").style.transform = `translateX(${x}px)`;
    at("small-playhead").style.transform = `translateX(${seconds / this.video.extent * this.width}px)`;
  }

  show(from, span) {
    const whole = this.video.extent;
    span = Math.min(whole, Math.max(Math.min(0.5, whole), span));
    this.from = Math.min(whole - span, Math.max(0, from));
    this.to = this.from + span;
    this.redraw();
  }

  zoom(factor, x = this.now === null || this.now < this.from || this.now > this.to ? this.width / 2 : this.x(this.now)) {
    const anchor = this.seconds(x), span = Math.min(this.video.extent, this.span / factor);
    this.show(anchor - x / this.width * span, span);
  }

  reveal(item) {
    const span = Math.max(this.span, Math.min(this.video.extent, 1.2 * (item.end - item.start)));
    if (item.start < this.from || item.end > this.to) this.show((item.start + item.end - span) / 2, span);
  }

  /* The segment at a place of the canvas, the best where several lie; null for none. */
  hit(x, y) {
    const each = this.rows.find(row => y >= row.top && y < row.top + row.height);
    if (!each) return null;
    return each.shown.find(item => {
      const box = this.box(each, item);
      return x >= box.left - 1 && x <= box.left + box.width + 1 && y >= box.top - 1 && y <= box.top + box.height + 1;
    }) || null;
  }

  listen() {
    const plot = at("plot"), overview = at("overview");
    let held = null;
    const place = (event, element) => { const box = element.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    plot.addEventListener("pointerdown", event => {
      if (event.button) return;
      const [x, y] = place(event, plot);
      held = { x, y, from: this.from, moved: false, ruler: y < RULER };
      plot.setPointerCapture(event.pointerId);
      if (held.ruler) this.told.seek(this.seconds(x));
    });
    plot.addEventListener("pointermove", event => {
      const [x, y] = place(event, plot);
      if (held?.ruler) this.told.seek(Math.min(this.to, Math.max(this.from, this.seconds(x))));
      else if (held && (held.moved ||= Math.abs(x - held.x) > 4)) this.show(held.from - (x - held.x) / this.width * this.span, this.span);
      const item = held?.moved || held?.ruler ? null : this.hit(x, y);
      plot.style.cursor = held?.moved ? "grabbing" : item || y < RULER ? "pointer" : "default";
      this.told.tip(item, event.clientX, event.clientY);
    });
    plot.addEventListener("pointerup", event => {
      const [x, y] = place(event, plot), item = held && !held.moved && !held.ruler ? this.hit(x, y) : null;
      if (item) this.told.pick(item);
      else if (held && !held.moved && !held.ruler) this.told.seek(this.seconds(x));
      held = null;
    });
    plot.addEventListener("pointercancel", () => { held = null; });
    plot.addEventListener("pointerleave", () => this.told.tip(null));
    const wheel = event => {
      const unit = event.deltaMode ? 16 : 1, [x] = place(event, plot);
      const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
      if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) this.show(this.from + across * unit / this.width * this.span, this.span);
      // The whole video is in view: the wheel is the page's.
      else if (event.deltaY > 0 && this.span >= this.video.extent && !event.ctrlKey) return;
      else this.zoom(Math.exp(-event.deltaY * unit / 300), x);
      event.preventDefault();
    };
    for (const element of [plot, overview]) element.addEventListener("wheel", wheel, { passive: false });
    const slide = event => this.show(place(event, overview)[0] / this.width * this.video.extent - this.span / 2, this.span);
    overview.addEventListener("pointerdown", event => { overview.setPointerCapture(event.pointerId); slide(event); });
    overview.addEventListener("pointermove", event => { if (event.buttons) slide(event); });
  }
}
