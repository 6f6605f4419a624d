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
  const same = scene && scene.view === next.view;
  scene = next;
  svg.replaceChildren();
  svg.setAttribute("viewBox", "0 0 " + scene.width + " " + scene.height);
  for (const l of scene.lines) svg.append(lineOf(l));
  for (const b of scene.boxes) svg.append(boxOf(b));
  fill();
  if (!same) {
    selected = nodes.has(scene.view) ? scene.view : "";
    selectedCalls = null;
    const focus = scene.boxes.find(b => b.id === selected) || scene.boxes.reduce((a, b) => b.x < a.x ? b : a, scene.boxes[0]);
    if (focus) drawing.scrollTo(selected ? focus.x + focus.width / 2 - drawing.clientWidth / 2 : 0, focus.y + focus.height / 2 - drawing.clientHeight / 2);
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

function boxOf(b) {
  const about = numbers ? stateOf(b) : null, middle = b.x + b.width / 2;
  const g = element("g", { class: "node " + b.kind + (about ? " " + about.level : ""), tabindex: "0", role: "button", "data-id": b.id, "aria-label": title(b.id) + (about && about.text ? ", " + about.text : "") });
  if (b.kind === "group") g.append(element("path", { class: "stack", d: "M" + (b.x + 5) + " " + (b.y + b.height + 3) + "h" + (b.width - 2) + "v" + (-b.height + 2), fill: "none", stroke: "currentColor", "stroke-opacity": ".25" }));
  g.append(element("rect", { x: b.x, y: b.y, width: b.width, height: b.height, rx: b.kind === "external" ? 14 : 6 }));
  const rows = [["name", b.text], ["under", b.under], ["under state", about && about.text]].filter(r => r[1]);
  const top = b.y + b.height / 2 - (rows.length - 1) * 17 / 2;
  rows.forEach(([kind, text], i) => g.append(element("text", { class: kind, x: middle, y: top + i * 17 }, text)));
  g.append(element("title", {}, title(b.id) + (b.kind === "group" ? ": click to open" : "")));
  g.addEventListener("mouseenter", () => near(b.id, true));
  g.addEventListener("mouseleave", () => near(b.id, false));
  g.addEventListener("dblclick", () => go({ view: b.id }));
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

function lineOf(l) {
  const about = numbers ? numbersOf(l) : stillOf(l), p = l.points, n = p.length;
  const x = p[n - 2], y = p[n - 1], back = p[n - 4] > x ? 9 : -9;
  const g = element("g", { class: "call " + about.state, tabindex: "0", role: "button", "data-from": l.from, "data-to": l.to, "aria-label": title(l.from) + " calls " + title(l.to) + ": " + about.text });
  const d = way(p);
  g.append(element("path", { class: "hit", d }), element("path", { class: "way", d }), element("path", { class: "head", d: "M" + x + " " + y + "l" + back + " -4.5v9z" }));
  const [lx, ly, width, height] = l.label;
  g.append(element("text", { x: lx + width / 2, y: ly + height / 2 }, (l.back ? "← " : "") + about.text));
  g.append(element("title", {}, title(l.from) + " → " + title(l.to) + ": " + about.text));
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
addEventListener("resize", fill);
addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
