"use strict";
const graph = JSON.parse(document.getElementById("data").textContent);
const svg = document.getElementById("graph"), list = document.getElementById("list"), detail = document.getElementById("detail");
const search = document.getElementById("search"), count = document.getElementById("count");
const known = new Map(graph.nodes.map(n => [n.id, n]));
let focus = "";

// element makes one, with text that is never read as HTML.
function element(name, attributes, text) {
  const drawn = ["g", "rect", "text", "path", "title", "defs", "marker"].includes(name);
  const e = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

// visible are the nodes that are drawn: those that match what is searched for, or the one in focus and its neighbours.
function visible() {
  if (focus) {
    const near = new Set([focus]);
    for (const e of graph.edges) {
      if (e.from === focus) near.add(e.to);
      if (e.to === focus) near.add(e.from);
    }
    return graph.nodes.filter(n => near.has(n.id));
  }
  const wanted = search.value.trim().toLowerCase();
  return graph.nodes.filter(n => n.id.toLowerCase().includes(wanted) || (n.namespace || "").toLowerCase().includes(wanted));
}

// columns places each node behind all that call it; a circle ends where it began.
function columns(nodes, edges) {
  const column = new Map(nodes.map(n => [n.id, 0]));
  for (let round = 0, moved = true; moved && round < nodes.length && round < 50; round++) {
    moved = false;
    for (const e of edges) {
      const next = column.get(e.from) + 1;
      if (e.from !== e.to && next > column.get(e.to) && next < nodes.length) { column.set(e.to, next); moved = true; }
    }
  }
  const used = [...new Set(column.values())].sort((a, b) => a - b);
  const out = used.map(() => []);
  for (const n of nodes) out[used.indexOf(column.get(n.id))].push(n);
  return out;
}

const width = 150, height = 30, gapX = 80, gapY = 16;

function draw() {
  const nodes = visible(), ids = new Set(nodes.map(n => n.id));
  const edges = graph.edges.filter(e => ids.has(e.from) && ids.has(e.to));
  const at = new Map(), rows = columns(nodes, edges);
  const tallest = Math.max(1, ...rows.map(column => column.length));
  rows.forEach((column, x) => column.forEach((n, y) => {
    // In the middle, and every other column a little lower, so that what passes a column passes between its members.
    at.set(n.id, [20 + x * (width + gapX), 20 + (y + (tallest - column.length) / 2 + (x % 2) / 2) * (height + gapY)]);
  }));
  const wide = 40 + rows.length * (width + gapX) - gapX, high = 40 + (tallest + 0.5) * (height + gapY);
  const scale = Math.min(1, Math.max(0.5, (svg.parentElement.clientWidth - 8) / wide));
  svg.replaceChildren(arrow());
  svg.setAttribute("viewBox", "0 0 " + wide + " " + high);
  svg.setAttribute("width", wide * scale);
  svg.setAttribute("height", high * scale);
  for (const e of edges) svg.append(edgeOf(e, at.get(e.from), at.get(e.to)));
  for (const n of nodes) svg.append(nodeOf(n, at.get(n.id)));
  list.replaceChildren(...nodes.map(n => {
    const b = element("button", { type: "button", "data-id": n.id, "aria-current": String(n.id === focus) }, n.id);
    b.addEventListener("click", () => look(n.id));
    return b;
  }));
  count.textContent = nodes.length + " of " + graph.nodes.length + " members, " + edges.length + " calls";
}

function arrow() {
  const defs = element("defs"), marker = element("marker", { id: "end", viewBox: "0 0 8 8", refX: "8", refY: "4", markerWidth: "7", markerHeight: "7", orient: "auto-start-reverse" });
  marker.append(element("path", { d: "M0 0 8 4 0 8z", fill: "currentColor" }));
  defs.append(marker);
  return defs;
}

function nodeOf(n, [x, y]) {
  const g = element("g", { class: "node " + n.kind + (n.id === focus ? " focus" : ""), tabindex: "0", role: "button", "data-id": n.id, transform: "translate(" + x + " " + y + ")" });
  g.append(element("rect", { width, height, rx: 6 }), element("text", { x: width / 2, y: height / 2 }, n.name.length > 20 ? n.name.slice(0, 19) + "…" : n.name), element("title", {}, n.id));
  g.addEventListener("click", () => look(n.id));
  g.addEventListener("keydown", event => { if (event.key === "Enter") look(n.id); });
  return g;
}

function edgeOf(e, [x1, y1], [x2, y2]) {
  const denied = (e.rules || []).some(r => r.deny);
  const g = element("g", { class: "edge" + (e.routed || e.asked ? " routed" : "") + (denied ? " deny" : ""), "data-from": e.from, "data-to": e.to });
  const [ax, ay, bx, by] = [x1 + width, y1 + height / 2, x2, y2 + height / 2], bend = Math.max(40, Math.abs(bx - ax) / 2);
  g.append(element("path", { d: "M" + ax + " " + ay + " C" + (ax + bend) + " " + ay + " " + (bx - bend) + " " + by + " " + bx + " " + by, "marker-end": "url(#end)" }), element("title", {}, e.from + " → " + e.to));
  g.addEventListener("click", () => show([e], e.from + " → " + e.to, null));
  return g;
}

// look puts one member in focus.
function look(id) {
  focus = id;
  draw();
  show(graph.edges.filter(e => e.from === id || e.to === id), id, known.get(id));
}

// show tells of edges, with the rules that let their callers in.
function show(edges, title, node) {
  const parts = [element("h2", {}, title)];
  if (node) {
    const dl = element("dl");
    for (const [name, value] of [["namespace", node.namespace], ["identity", node.identity], ["written", node.source]]) {
      if (value) dl.append(element("dt", {}, name), element("dd", {}, value));
    }
    parts.push(dl);
  }
  for (const e of edges) {
    parts.push(element("h2", { class: "call" }, e.from + " → " + e.to + (e.routed ? ", by routes of others" : e.asked ? ", by the proxy alone" : "")));
    const ul = element("ul");
    ul.append(element("li", {}, "ports " + e.ports.join(", ") + (e.source ? " (" + e.source + ")" : "")));
    for (const r of e.rules || []) ul.append(element("li", { class: r.deny ? "deny" : "allow" }, (r.deny ? "denied: " : "let in: ") + r.name + (r.source ? " (" + r.source + ")" : "")));
    parts.push(ul);
  }
  detail.replaceChildren(...parts);
}

search.addEventListener("input", () => { focus = ""; detail.replaceChildren(); draw(); });
document.getElementById("all").addEventListener("click", () => { focus = ""; search.value = ""; detail.replaceChildren(); draw(); });
draw();
addEventListener("resize", draw);
