/* The page: what it knows, its lists and filters, the player, and the keys. */
const data = JSON.parse(at("data").textContent), player = at("player");
const HEADS = [["start", "start"], ["end", "end"], ["label", "label"], ["score", "score"], ["tiou", "tIoU"], ["file", "file"]];
const state = { video: null, chosen: null, colours: new Map(), labels: new Set(), ordered: [], sort: "start", broken: new Map(), ticking: 0 };
const labelName = label => data.labels[label] || "proposal";

for (const video of data.videos) {
  video.words = [video.id, ...new Set(video.rows.flatMap(row => row.labels).map(label => data.labels[label]))].join("\n").toLowerCase();
}

const videos = new List(at("video-list"), 48, (row, video) => {
  const count = rows => rows.reduce((sum, each) => sum + each.total, 0), [truth, found] = [false, true].map(is => count(video.rows.filter(each => Boolean(each.scores) === is)));
  const seen = new Map();
  for (const label of video.rows.flatMap(each => each.labels.slice(0, each.scores ? video.shown : undefined))) seen.set(label, (seen.get(label) || 0) + 1);
  const names = [...seen].sort((a, b) => b[1] - a[1]).map(([label]) => data.labels[label]).filter(name => name);
  row.title = video.id;
  make("b", row, { textContent: (video.source ? "\u25b6 " : "") + video.id });
  make("small", row, { textContent: [truth ? `${truth} annotated` : "", found ? `${found} found` : "", names.slice(0, 4).join(", ")].filter(text => text).join(" \u00b7 ") });
}, video => show(video));

const segments = new List(at("segment-list"), 28, (row, item) => {
  const cell = text => make("span", row, { textContent: text });
  cell(clock(item.start));
  cell(clock(item.end));
  const label = cell("");
  make("i", label, { style: `background: ${colourOf(item.label).fill}` });
  label.append(labelName(item.label));
  label.title = labelName(item.label);
  if (columns().includes("score")) cell(item.score === null ? "" : brief(item.score));
  if (columns().includes("tiou")) cell(item.tiou === null ? "" : item.tiou.toFixed(2));
  if (columns().includes("file")) cell(item.row.name).title = item.row.name;
  row.classList.toggle("now", item.start <= chart.now && chart.now < item.end);
}, item => pick(item));

const chart = new Chart({ colour: colourOf, name: labelName, seek, pick, tip });

/* The colour of a label in this video on this paper, and that of text upon it. */
function colourOf(label) {
  const { colours } = state;
  if (!colours.has(label)) {
    const own = state.video.colours[label], fill = chart.dark && light(own) < 60 ? brighter(own) : own;
    colours.set(label, { fill, ink: ink(fill) });
  }
  return colours.get(label);
}

function columns() {
  const { rows } = state.video;
  return HEADS.map(head => head[0]).filter(name =>
    name === "score" ? rows.some(row => row.scores) : name === "tiou" ? rows.some(row => row.tious) : name !== "file" || rows.length > 1);
}

function show(video) {
  if (!video || video === state.video) return;
  player.pause();
  Object.assign(state, { video, chosen: null });
  state.labels.clear();
  state.colours.clear();
  video.rows.forEach(row => {
    row.items ||= row.labels.map((label, n) => ({
      row, label, rank: n + 1, start: row.segments[2 * n], end: row.segments[2 * n + 1],
      score: row.scores ? row.scores[n] : null, tiou: row.tious ? row.tious[n] : null,
    }));
    row.byStart ||= [...row.items].sort((a, b) => a.start - b.start);
    const scores = row.scores || [];
    row.lowest = Math.min(0, scores.length ? scores[scores.length - 1] : 0);
    row.highest = Math.max(row.lowest, scores.length ? scores[0] : 0);
    Object.assign(row, { hidden: false, least: -Infinity });
  });
  at("title").textContent = document.title = video.id;
  at("count").value = video.shown;
  at("count").max = Math.max(0, ...video.rows.map(row => row.labels.length));
  at("count").parentElement.hidden = !video.rows.some(row => row.scores);
  location.replace("#" + encodeURIComponent(video.id));
  chart.open(video);
  rowNames();
  sort(state.sort);
  legend();
  load();
  filter();
  videos.choose(video);
}

/* The column beside the chart: a row's name, how much of it shows, and the least score. */
function rowNames() {
  at("names").replaceChildren();
  make("div", at("names"), { style: `height: ${RULER + GAP}px` });
  for (const row of state.video.rows) {
    const cell = make("div", at("names"));
    const box = make("input", cell, { type: "checkbox", checked: true, title: "show this row" });
    box.setAttribute("aria-label", `show ${row.name}`);
    box.addEventListener("change", () => { row.hidden = !box.checked; filter(); });
    make("b", cell, { textContent: row.name, title: row.name });
    row.counter = make("span", cell);
    if (!row.scores) continue;
    const slider = make("input", cell, { type: "range", min: 0, max: 1000, value: 0, title: "the least score" });
    slider.setAttribute("aria-label", `least score of ${row.name}`);
    const text = make("output", cell, { textContent: "\u2265 " + brief(row.lowest) });
    slider.addEventListener("input", () => {
      const value = row.lowest + (row.highest - row.lowest) * slider.value / 1000;
      row.least = +slider.value ? value : -Infinity;
      text.textContent = "\u2265 " + brief(value);
      slider.setAttribute("aria-valuetext", brief(value));
      requestFilter();
    });
  }
}

function heads() {
  const time = state.video.extent < 3600 ? "52px" : "76px";
  const widths = { start: time, end: time, label: "minmax(0, 1fr)", score: "46px", tiou: "38px", file: "minmax(52px, .5fr)" };
  at("main").style.setProperty("--table", columns().length > 4 ? "400px" : "340px");
  at("segment-list").parentElement.style.setProperty("--columns", columns().map(name => widths[name]).join(" "));
  at("heads").replaceChildren();
  for (const [key, title] of HEADS.filter(head => columns().includes(head[0]))) {
    const button = make("button", at("heads"), { textContent: title, title: `sort by ${title}` });
    button.setAttribute("aria-pressed", state.sort === key);
    button.addEventListener("click", () => { sort(key); filter(); });
  }
}

/* Put the segments of the list in order; further down the list keeps it, whatever is left out. */
function sort(name) {
  const key = {
    start: item => item.start, end: item => item.end, label: item => labelName(item.label), score: item => -item.score,
    tiou: item => -item.tiou, file: item => item.row.name,
  }[name];
  const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;
  state.sort = name;
  state.ordered = state.video.rows.flatMap(row => row.byStart).sort((a, b) => compare(key(a), key(b)) || a.start - b.start);
  heads();
}

/* A button for each label; those pressed are shown alone. */
function legend() {
  const counts = new Map();
  for (const item of state.video.rows.flatMap(row => row.items)) counts.set(item.label, (counts.get(item.label) || 0) + 1);
  const numbers = [...counts.keys()].filter(label => data.labels[label]);
  numbers.sort((a, b) => (state.video.colours[a] === data.other) - (state.video.colours[b] === data.other));
  at("legend").replaceChildren();
  for (const label of numbers) {
    const button = make("button", at("legend"), { title: "show only this label; press others too" });
    make("i", button, { style: `background: ${colourOf(label).fill}` });
    button.append(data.labels[label]);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (!state.labels.delete(label)) state.labels.add(label);
      button.setAttribute("aria-pressed", state.labels.has(label));
      filter();
    });
  }
}

let filtering = false;
function requestFilter() {
  if (filtering) return;
  filtering = true;
  requestAnimationFrame(() => { filtering = false; filter(); });
}

/* What shows of each row, in the chart and in the list. */
function filter() {
  const { video, labels } = state, count = Math.max(0, Math.floor(+at("count").value || 0));
  for (const row of video.rows) {
    for (const item of row.items) item.shown = (!row.scores || (item.rank <= count && item.score >= row.least)) && (!labels.size || labels.has(item.label));
    row.shown = row.items.filter(item => item.shown);
    row.counter.textContent = row.scores || row.shown.length < row.total ? `${row.shown.length} of ${row.total}` : row.total;
    row.counter.title = row.items.length < row.total ? `the page has the best ${row.items.length}; plot --top N has more` : "";
  }
  const listed = state.ordered.filter(item => item.shown && !item.row.hidden);
  if (!listed.includes(state.chosen)) state.chosen = chart.chosen = null;
  segments.set(listed, state.chosen, "No segment: lower the score, or show more.");
  at("shown").textContent = `${listed.length} segment${listed.length === 1 ? "" : "s"} shown`;
  at("canvas").setAttribute("aria-label", `timeline of ${video.id}: ${video.rows.map(row => `${row.name} ${row.shown.length} segments`).join(", ")}; the list of segments says the same in words`);
  chart.arrange();
}

/* Playing. */
const source = () => state.broken.has(state.video.id) ? null : state.video.source;

function note(text) {
  at("note").textContent = text;
  at("note").hidden = !text;
}

function readable(address) {
  try {
    return decodeURIComponent(address);
  } catch {  // A name of a file that is no text, in bytes.
    return address;
  }
}

function load() {
  const { video } = state, address = source(), none = data.videos.some(each => each.source) ? "No video file was named for this id" : "";
  note(state.broken.get(video.id) || (address ? "" : none && none + ": \u201copen video\u2026\u201d plays one from this computer."));
  at("screen").hidden = !address;
  at("main").classList.toggle("blind", !address);
  for (const id of ["play", "clock"]) at(id).hidden = !address;
  at("loop").parentElement.hidden = !address;
  if (address) player.src = address; else { player.removeAttribute("src"); player.load(); }
  chart.now = address ? 0 : null;
  facts();
  tick();
}

function facts() {
  const { video } = state;
  at("facts").textContent = video.duration === null ? "length unknown" : clock(video.duration);
}

player.addEventListener("error", () => {
  const address = player.getAttribute("src");
  if (!address || !state.video) return;
  state.broken.set(state.video.id, `This browser cannot play ${address.startsWith("blob:") ? "this file" : readable(address)}: `
    + (player.error?.code === MediaError.MEDIA_ERR_DECODE ? "its data are broken or in a format that it does not know." : "the file is not there, or in a format that it does not know (MP4 with H.264 and WebM play everywhere)."));
  load();
});

player.addEventListener("loadedmetadata", () => {
  const { video } = state, { duration } = player;
  if (!player.videoWidth) note("This browser plays only the sound of this file; it does not know the format of its pictures.");
  if (!Number.isFinite(duration)) return;
  if (video.duration === null) {
    video.duration = duration;
    video.extent = Math.max(video.extent, duration);
    chart.open(video);
    facts();
    filter();
    tick();
  } else if (Math.abs(duration - video.duration) > Math.max(1, 0.1 * video.duration))
    note(`This file lasts ${clock(duration)}, the video of these segments ${clock(video.duration)}: is it the same one?`);
});

function tick() {
  const running = !player.paused && !player.ended, has = Boolean(source());
  if (has && running && at("loop").checked && state.chosen && player.currentTime >= state.chosen.end) player.currentTime = state.chosen.start;
  chart.follow(has ? player.currentTime : null, running);
  at("clock").textContent = has ? `${clock(chart.now)} / ${clock(player.duration || state.video.duration || state.video.extent)}` : "";
  at("play").textContent = running ? "\u275a\u275a" : "\u25b6";
  at("play").setAttribute("aria-label", running ? "pause" : "play");
  for (const row of segments.inner.children) {
    const item = segments.items[row.dataset.number];
    row.classList.toggle("now", Boolean(item) && item.start <= chart.now && chart.now < item.end);
  }
  cancelAnimationFrame(state.ticking);
  if (running) state.ticking = requestAnimationFrame(tick);
}
// While it runs, each frame asks for the next.
for (const name of ["play", "pause", "ended", "seeking", "seeked"]) player.addEventListener(name, tick);

function seek(seconds) {
  if (!source()) return;
  player.currentTime = Math.max(0, Math.min(seconds, player.duration || Infinity));
  tick();
}

function play() {
  // A new source, or a pause, ends the promise of the one before; that is no fault.
  player.play().catch(error => { if (error.name !== "AbortError" && !player.error) note(`The browser does not play: ${error.message}`); });
}

function toggle() {
  if (!source()) return;
  if (player.paused) play(); else player.pause();
}

/* Choose a segment, and go there. */
function choose(item) {
  state.chosen = chart.chosen = item;
  chart.reveal(item);
  chart.outline();
  segments.choose(item);
  seek(item.start);
  at("said").textContent = [labelName(item.label), `${clock(item.start)} to ${clock(item.end)}`, item.score === null ? "" : `score ${brief(item.score)}`].join(", ");
}

/* A click plays a segment from its start; another one pauses. */
function pick(item) {
  if (item === state.chosen && !player.paused) { player.pause(); return; }
  choose(item);
  if (source()) play();
}

function step(direction) {
  const { items } = segments, here = items.indexOf(state.chosen);
  let next = here + direction;
  if (here < 0) {
    const now = chart.now ?? chart.from, later = items.findIndex(item => item.start > now);
    next = state.sort !== "start" ? 0 : direction > 0 ? later : (later < 0 ? items.length : later) - 1;
  }
  if (items[next]) choose(items[next]);
}

/* Videos. */
function search() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(word => word);
  const found = data.videos.filter(video => words.every(word => video.words.includes(word)));
  at("found").textContent = words.length ? `${found.length} of ${data.videos.length} videos` : `${data.videos.length} videos`;
  videos.set(found, state.video, "No video has these words in its id or labels.");
}

function turn(direction) {
  const { items } = videos, here = items.indexOf(state.video);
  show(items[here < 0 ? 0 : (here + direction + items.length) % items.length]);
}

/* Files of the reader's own: by their names, or one for the video that is open. */
function openFiles(files) {
  let matched = 0;
  for (const file of files) {
    const stem = file.name.replace(/\.[^.]*$/, "");
    const video = data.videos.find(each => each.id === stem || each.id.endsWith("/" + stem)) || (files.length === 1 ? state.video : null);
    if (!video) continue;
    matched++;
    video.source = URL.createObjectURL(file);
    state.broken.delete(video.id);
  }
  videos.draw();
  if (!matched) note("None of these files is named after a video of this page.");
  else if (source()) load();
}

function tip(item, x, y) {
  const tip = at("tip");
  tip.hidden = !item;
  if (!item) return;
  tip.replaceChildren();
  make("b", tip, { textContent: labelName(item.label) });
  const lines = [["file", item.row.name], ["segment", `${clock(item.start, 2)} \u2013 ${clock(item.end, 2)}`], ["length", (item.end - item.start).toFixed(2) + " s"]];
  if (item.score !== null) lines.push(["score", String(item.score)], ["rank", `${item.rank} of ${item.row.total}`]);
  if (item.tiou !== null) lines.push(["best tIoU", item.tiou.toFixed(3)]);
  const table = make("table", tip);
  for (const [name, value] of lines) {
    const line = make("tr", table);
    make("td", line, { textContent: name });
    make("td", line, { textContent: value });
  }
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y + 16 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 16) + "px";
}

const inSegments = () => document.activeElement === at("segment-list");
const KEYS = {
  " ": toggle,
  Enter: () => { if (state.chosen) pick(state.chosen); },
  ArrowLeft: event => seek(chart.now - (event.shiftKey ? 5 : 1)),
  ArrowRight: event => seek(chart.now + (event.shiftKey ? 5 : 1)),
  ",": () => { player.pause(); seek(chart.now - 0.04); },
  ".": () => { player.pause(); seek(chart.now + 0.04); },
  n: () => step(1),
  p: () => step(-1),
  l: () => { at("loop").checked = !at("loop").checked; },
  ArrowDown: () => inSegments() ? step(1) : turn(1),
  ArrowUp: () => inSegments() ? step(-1) : turn(-1),
  j: () => turn(1),
  k: () => turn(-1),
  "/": () => at("search").focus(),
  "+": () => chart.zoom(1.6),
  "=": () => chart.zoom(1.6),
  "-": () => chart.zoom(1 / 1.6),
  0: () => chart.show(0, Infinity),
  "?": () => at("keys").showModal(),
};

addEventListener("keydown", event => {
  const { target, key } = event, kind = target.matches("input") ? target.type : "";
  if (event.ctrlKey || event.metaKey || event.altKey || at("keys").open) return;
  if (kind === "search" || kind === "number") {
    if (key === "Escape" || (key === "Enter" && kind === "search")) target.blur();
    if (key === "Enter" && kind === "search" && !videos.items.includes(state.video)) turn(1);
    return;
  }
  // What the element in focus does itself.
  if (kind === "range" && /^(Arrow|Home|End|Page)/.test(key)) return;
  if ((kind === "checkbox" || target.matches("button")) && (key === " " || key === "Enter")) return;
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  KEYS[key](event);
}, true);
// After a click the keys are the page's again, and space plays.
addEventListener("click", event => { if (event.detail) event.target.closest?.("button, input[type=checkbox], input[type=range]")?.blur(); });

at("previous").addEventListener("click", () => turn(-1));
at("next").addEventListener("click", () => turn(1));
at("help").addEventListener("click", () => at("keys").showModal());
at("play").addEventListener("click", toggle);
at("in").addEventListener("click", () => chart.zoom(1.6));
at("out").addEventListener("click", () => chart.zoom(1 / 1.6));
at("whole").addEventListener("click", () => chart.show(0, Infinity));
at("count").addEventListener("input", requestFilter);
at("search").addEventListener("input", search);
at("open").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", event => openFiles(event.target.files));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { state.colours.clear(); legend(); filter(); });
addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", event => { event.preventDefault(); document.body.classList.remove("dropping"); openFiles(event.dataTransfer.files); });
addEventListener("hashchange", () => show(data.videos.find(video => "#" + encodeURIComponent(video.id) === location.hash)));

document.body.classList.toggle("lone", data.videos.length < 2);
search();
show(data.videos.find(video => "#" + encodeURIComponent(video.id) === location.hash) || data.videos[0]);
