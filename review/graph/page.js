"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const svg = at("graph"), drawing = at("drawing"), detail = at("detail"), search = at("search");

// The graph and its groups, what is drawn of it, and what is selected: a box or a line by its name.
let graph = data.graph || { nodes: [], edges: [] }, groups = data.groups || [];
let nodes = new Map(graph.nodes.map(n => [n.id, n]));
let scene = null, selected = "", selectedCalls = null;
// numbers is what proxies told, of a live page.
let numbers = null;

// element makes one, with text that is never read as HTML.
function element(name, attributes, ...content) {
  const drawn = ["svg", "g", "rect", "text", "path", "title"].includes(name);
  const e = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value !== undefined && value !== false) e.setAttribute(key, value);
  e.append(...content.filter(c => c !== undefined && c !== null && c !== ""));
  return e;
}

// button is one that does something.
function button(attributes, text, act) {
  const b = element("button", { type: "button", ...attributes }, text);
  b.addEventListener("click", act);
  return b;
}

// Where the reader is stands in the address, so that it can be kept, and the browser's way back works.
const place = () => new URLSearchParams(location.hash.slice(1));
const view = () => place().get("view") || "";
function go(changes) {
  const p = place();
  for (const [key, value] of Object.entries(changes)) value ? p.set(key, value) : p.delete(key);
  const hash = "#" + p;
  if (hash !== (location.hash || "#")) location.hash = hash;
}

const title = id => nodes.has(id) ? id : id.replace(/^group /, "");
const short = id => id.replace(/^service /, "");

// show draws a scene; the same one again keeps what is selected and where it is scrolled to.
function show(next) {
  const same = scene && scene.view === next.view, focus = document.activeElement;
  const held = same && svg.contains(focus) ? { ...focus.dataset } : null; // a box or a line that has the focus
  scene = next;
  svg.replaceChildren();
  svg.setAttribute("viewBox", "0 0 " + scene.width + " " + scene.height);
  for (const l of scene.lines) svg.append(lineOf(l));
  for (const b of scene.boxes) svg.append(boxOf(b));
  fill();
  if (!same) {
    selected = nodes.has(scene.view) ? scene.view : "";
    selectedCalls = null;
    const first = scene.boxes.find(b => b.id === selected) || scene.boxes.reduce((a, b) => b.x < a.x ? b : a, scene.boxes[0]);
    if (first) drawing.scrollTo(selected ? first.x + first.width / 2 - drawing.clientWidth / 2 : 0, first.y + first.height / 2 - drawing.clientHeight / 2);
  }
  if (held) {
    const again = [...svg.querySelectorAll("[tabindex]")].find(g => g.dataset.id === held.id && g.dataset.from === held.from && g.dataset.to === held.to);
    if (again) again.focus();
  }
  mark();
  list();
  explain();
  const members = new Set(scene.boxes.flatMap(b => b.members || [b.id]));
  at("count").textContent = members.size + " of " + graph.nodes.length + " members, " + new Set(scene.lines.flatMap(l => l.calls)).size + " of " + graph.edges.length + " calls";
  at("all").setAttribute("aria-pressed", scene.view === "");
  at("groups").setAttribute("aria-pressed", scene.view === "groups");
  document.title = (title(scene.view) ? title(scene.view) + " · " : "") + data.mesh;
}

// fill makes the drawing as large as its place, but never so small that it cannot be read.
function fill() {
  if (!scene) return;
  const scale = Math.min(1.6, Math.max(1, Math.min((drawing.clientWidth - 2) / scene.width, (drawing.clientHeight - 2) / scene.height)));
  svg.setAttribute("width", Math.floor(scene.width * scale));
  svg.setAttribute("height", Math.floor(scene.height * scale));
}

// acts has an element do something by mouse and by keyboard.
function acts(g, act) {
  g.addEventListener("click", act);
  g.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
  return g;
}

// repaint shows new numbers where they stand, so that what has the focus keeps it.
function repaint() {
  for (const g of svg.querySelectorAll(".call")) paintLine(g, g.line);
  for (const g of svg.querySelectorAll(".node")) paintBox(g, g.box);
}

// paintBox shows the state of the proxies.
function paintBox(g, b) {
  const about = data.live ? stateOf(b) : { level: "", text: "" };
  g.setAttribute("class", "node " + b.kind + " " + about.level);
  g.setAttribute("aria-label", title(b.id) + (about.text ? ", " + about.text : ""));
  const state = g.querySelector(".state");
  if (state) state.textContent = about.text;
  const rows = [...g.querySelectorAll("text")].filter(t => t.textContent), top = b.y + b.height / 2 - (rows.length - 1) * 17 / 2;
  rows.forEach((t, i) => t.setAttribute("y", top + i * 17));
}

function boxOf(b) {
  const middle = b.x + b.width / 2;
  const g = element("g", { tabindex: "0", role: "button", "data-id": b.id });
  g.box = b;
  if (b.kind === "group") g.append(element("path", { class: "stack", d: "M" + (b.x + 5) + " " + (b.y + b.height + 3) + "h" + (b.width - 2) + "v" + (-b.height + 2), fill: "none", stroke: "currentColor", "stroke-opacity": ".25" }));
  g.append(element("rect", { x: b.x, y: b.y, width: b.width, height: b.height, rx: b.kind === "external" ? 14 : 6 }));
  const rows = [["name", b.text]];
  if (b.under) rows.push(["under", b.under]);
  if (data.live && ["service", "gateway", "group"].includes(b.kind)) rows.push(["under state", ""]);
  for (const [kind, text] of rows) g.append(element("text", { class: kind, x: middle }, text));
  g.append(element("title", {}, title(b.id) + (b.kind === "group" ? ": click to open" : "")));
  g.addEventListener("mouseenter", () => near(b.id, true));
  g.addEventListener("mouseleave", () => near(b.id, false));
  g.addEventListener("dblclick", () => go({ view: b.id }));
  paintBox(g, b);
  return acts(g, () => b.kind === "group" ? go({ view: b.id }) : select(b.id));
}

function near(id, on) {
  for (const c of svg.querySelectorAll(".call")) if (c.dataset.from === id || c.dataset.to === id) c.classList.toggle("near", on);
}

// way is the path of a line, with round corners.
function way(p) {
  let d = "M" + p[0] + " " + p[1];
  for (let i = 2; i + 2 < p.length; i += 2) {
    const before = Math.hypot(p[i] - p[i - 2], p[i + 1] - p[i - 1]), after = Math.hypot(p[i + 2] - p[i], p[i + 3] - p[i + 1]);
    const r = Math.min(6, before / 2, after / 2);
    if (!r) continue;
    const to = (x, y, length) => [p[i] + (x - p[i]) * r / length, p[i + 1] + (y - p[i + 1]) * r / length].join(" ");
    d += "L" + to(p[i - 2], p[i - 1], before) + "Q" + p[i] + " " + p[i + 1] + " " + to(p[i + 2], p[i + 3], after);
  }
  return d + "L" + p[p.length - 2] + " " + p[p.length - 1];
}

// paintLine shows the numbers of a line.
function paintLine(g, l) {
  const about = data.live ? numbersOf(l) : stillOf(l);
  g.setAttribute("class", "call " + about.state + (g.classList.contains("near") ? " near" : ""));
  g.setAttribute("aria-label", title(l.from) + " calls " + title(l.to) + ": " + about.text);
  g.querySelector("text").textContent = (l.back ? "← " : "") + about.text;
  g.querySelector("title").textContent = title(l.from) + " → " + title(l.to) + ": " + about.text;
}

function lineOf(l) {
  const p = l.points, n = p.length;
  const x = p[n - 2], y = p[n - 1], back = p[n - 4] > x ? 9 : -9;
  const g = element("g", { tabindex: "0", role: "button", "data-from": l.from, "data-to": l.to });
  g.line = l;
  const d = way(p);
  g.append(element("path", { class: "hit", d }), element("path", { class: "way", d }), element("path", { class: "head", d: "M" + x + " " + y + "l" + back + " -4.5v9z" }));
  const [lx, ly, width, height] = l.label;
  g.append(element("text", { x: lx + width / 2, y: ly + height / 2 }), element("title"));
  paintLine(g, l);
  return acts(g, () => selectCalls(l.from, l.to, l.calls));
}

// stillOf is what a line says without numbers.
function stillOf(l) {
  const calls = l.calls.map(i => graph.edges[i]);
  if (calls.some(e => (e.rules || []).some(r => r.deny))) return { state: "denied", text: l.text };
  return { state: calls.every(e => e.routed || e.asked) ? "routed" : "", text: l.text };
}

function select(id) {
  selected = id;
  selectedCalls = null;
  mark();
  list();
  explain();
}

function selectCalls(from, to, calls) {
  selected = "";
  selectedCalls = { from, to, calls: calls.map(i => graph.edges[i]) };
  mark();
  explain();
}

// mark shows what is selected, and what is searched for.
function mark() {
  const wanted = search.value.trim().toLowerCase();
  svg.classList.toggle("searching", wanted !== "");
  for (const n of svg.querySelectorAll(".node")) {
    n.classList.toggle("selected", n.dataset.id === selected);
    const box = scene.boxes.find(b => b.id === n.dataset.id);
    n.classList.toggle("found", wanted !== "" && (box.members || [box.id]).some(id => matches(id, wanted)));
  }
  for (const c of svg.querySelectorAll(".call")) c.classList.toggle("selected", !!selectedCalls && c.dataset.from === selectedCalls.from && c.dataset.to === selectedCalls.to);
}

const matches = (id, wanted) => id.toLowerCase().includes(wanted) || ((nodes.get(id) || {}).namespace || "").toLowerCase().includes(wanted);

// fewMembers is up to how many members all of them are listed.
const fewMembers = 80;

// list names the members by group: all, or those that are searched for, or those of the group that is open.
function list() {
  const wanted = search.value.trim().toLowerCase(), rows = [];
  for (const g of groups) {
    const found = g.members.filter(id => !wanted || matches(id, wanted));
    if (!found.length) continue;
    rows.push(button({ class: "group", "data-view": g.id, "aria-current": String(view() === g.id) }, g.name + " (" + found.length + ")", () => go({ view: g.id })));
    if (!wanted && graph.nodes.length > fewMembers && view() !== g.id && !g.members.includes(view())) continue;
    for (const id of found) {
      const trouble = numbers ? troubleOf(id) : "";
      rows.push(button({ "data-id": id, "aria-current": String(id === selected) }, short(id), () => { select(id); go({ view: id }); }));
      if (trouble) rows[rows.length - 1].append(" ", element("small", {}, trouble));
    }
  }
  if (!rows.length) rows.push(element("p", {}, "no member has this in its name"));
  at("list").replaceChildren(...rows);
}

search.addEventListener("input", () => { list(); if (scene) mark(); });
search.addEventListener("keydown", event => {
  const first = at("list").querySelector("button[data-id]");
  if (event.key === "Enter" && first) first.click();
});
at("all").addEventListener("click", () => { search.value = ""; go({ view: "" }); list(); mark(); });
at("groups").addEventListener("click", () => go({ view: "groups" }));
new ResizeObserver(fill).observe(drawing);
addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
