// What stands beside the drawing: all about the box or the line that is selected.

function explain() {
  if (selectedCalls) return detail.replaceChildren(...aboutCalls());
  if (selected && nodes.has(selected)) return detail.replaceChildren(...aboutNode(nodes.get(selected)));
  detail.replaceChildren();
}

const placeOf = where => where ? element("span", { class: "place" }, where) : "";

function pairs(rows) {
  const dl = element("dl");
  for (const [name, value] of rows) if (value !== undefined && value !== "" && value !== null) dl.append(element("dt", {}, name), element("dd", {}, value));
  return dl;
}

function table(head, rows) {
  const cells = (row, kind) => element("tr", {}, ...row.map((v, i) => element(kind, { class: i >= head.from ? "n" : undefined }, ...(Array.isArray(v) ? v : [String(v)]))));
  return element("table", {}, element("thead", {}, cells(head.names, "th")), element("tbody", {}, ...rows.map(r => cells(r, "td"))));
}

function aboutNode(n) {
  const parts = [element("h2", {}, n.kind === "stranger" ? "not in the mesh: " + n.name : n.id)];
  parts.push(pairs([["namespace", n.namespace], ["identity", n.identity], ["written", n.source], ["without a proxy", (n.open || []).join(", ")]]));
  if (view() !== n.id) parts.push(element("p", {}, button({ class: "go" }, "show it and its neighbours", () => go({ view: n.id }))));
  if (numbers) parts.push(...proxiesOf(n));
  for (const [name, calls, other] of [["calls", graph.edges.filter(e => e.from === n.id), e => e.to], ["is called by", graph.edges.filter(e => e.to === n.id), e => e.from]]) {
    if (!calls.length) continue;
    parts.push(element("h3", {}, name));
    const rows = calls.map(e => {
      const who = button({ class: "link" }, short(other(e)), () => selectCalls(e.from, e.to, [graph.edges.indexOf(e)]));
      return numbers ? [[who], ...rowOf(e)] : [[who], e.ports.join(", "), kindOf(e)];
    });
    parts.push(numbers ? table({ names: ["", "per s", "errors", "p95"], from: 1 }, rows) : table({ names: ["", "ports", ""], from: 9 }, rows));
  }
  if (numbers) parts.push(...answeredAlone(n));
  return parts;
}

const kindOf = e => e.undeclared ? "not declared" : e.routed ? "by routes of others" : e.asked ? "by the proxy alone" : "";

function aboutCalls() {
  const parts = [element("h2", {}, title(selectedCalls.from) + " → " + title(selectedCalls.to))];
  const calls = selectedCalls.calls;
  if (calls.length > 1) parts.push(element("p", {}, calls.length + " calls"));
  for (const e of calls.slice(0, 50)) {
    if (calls.length > 1) parts.push(element("h3", { class: "call" }, e.from + " → " + e.to));
    parts.push(pairs([["ports", e.ports.join(", ")], ["written", e.source], ["how", kindOf(e)]]));
    if (numbers) parts.push(...toldOf(e));
    if (!(e.rules || []).length) continue;
    parts.push(element("h3", {}, "rules about this caller"));
    parts.push(element("ul", {}, ...e.rules.map(r => element("li", { class: r.deny ? "deny" : "allow" }, r.deny ? "denied: " : "let in: ", r.name, " ", placeOf(r.source)))));
  }
  if (calls.length > 50) parts.push(element("p", {}, "and " + (calls.length - 50) + " more: open a namespace to see them"));
  return parts;
}

// legend shows each kind of line as it is drawn.
function legend(kinds, notes) {
  at("legend").replaceChildren(...kinds.map(([state, text]) => {
    const g = element("g", { class: "call " + state }, element("path", { class: "way", d: "M1 6H32" }), element("path", { class: "head", d: "M40 6l-9 -4.5v9z" }));
    return element("span", {}, element("svg", { width: 42, height: 12, "aria-hidden": "true" }, g), text);
  }), ...notes.map(n => element("span", {}, n)));
}
