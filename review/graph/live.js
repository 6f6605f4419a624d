// A live page asks its server again and again, and shows what proxies told it: the numbers of meshc top and meshc edges.

const ask = 2000, patience = 8000; // milliseconds: between two answers, and until what is shown counts as old
const ranges = [["1m", "1 minute"], ["5m", "5 minutes"], ["15m", "15 minutes"]];
let version = "", heard = 0, heardAt = null, trouble = "";

const range = () => (ranges.find(r => r[0] === place().get("last")) || ranges[0])[0];
const pair = (from, to) => from + "\n" + to;

// told has the answers by what is drawn of them.
function told(report, status) {
  const n = { report, status, pairs: new Map(), proxies: new Map(), silent: new Set(report.silent || []) };
  for (const e of report.edges || []) {
    const key = pair(e.caller || "no certificate", e.callee || "");
    n.pairs.set(key, [...(n.pairs.get(key) || []), e]);
  }
  for (const p of status.proxies) n.proxies.set(p.member, [...(n.proxies.get(p.member) || []), p]);
  return n;
}

// statsOf is what the caller's end tells of an edge, or else the callee's; why a connection below
// HTTP was closed the callee's alone knows (Edge.Stats of serve is the same). Denied requests are the callee's, and those of
// a gateway's own rules.
const statsOf = e => e.client && e.server && e.client.kind === "tcp.client" ? { ...e.client, errors: Math.max(e.client.errors, e.server.errors), failures: [...e.client.failures || [], ...e.server.failures || []] } : e.client || e.server || null;
const deniedOf = e => ((e.server && e.server.denied) || 0) + ((e.client && e.client.denied) || 0);
const edgesOf = call => numbers.pairs.get(pair(call.from, call.to)) || [];

// together are the numbers of several edges. Of durations only a bound is known: no part is slower than the slowest.
function together(edges) {
  const sum = { requests: 0, errors: 0, denied: 0, perSecond: 0, p95: 0, samples: 0, parts: 0 };
  for (const e of edges) {
    sum.denied += deniedOf(e);
    const s = statsOf(e);
    if (!s) continue;
    sum.requests += s.requests;
    sum.errors += s.errors;
    sum.perSecond += s.perSecond;
    if (!s.latency.samples) continue;
    sum.samples += s.latency.samples;
    sum.parts++;
    sum.p95 = Math.max(sum.p95, s.latency.p95);
  }
  return sum;
}

const rate = n => n >= 10000 ? Math.round(n / 1000) + "k" : n >= 1000 ? (n / 1000).toFixed(1) + "k" : n >= 100 ? n.toFixed(0) : n >= 0.05 ? n.toFixed(1) : n > 0 ? "<0.1" : "0";
const share = (part, all) => !part || !all ? "0%" : part >= all ? "100%" : part / all < 0.001 ? "<0.1%" : Math.min(99.9, 100 * part / all).toFixed(part / all < 0.1 ? 1 : 0) + "%";
const time = ms => ms < 1 ? "<1ms" : ms < 1000 ? ms.toFixed(0) + "ms" : (ms / 1000).toFixed(1) + "s";
const many = n => n >= 10000 ? Math.round(n / 1000) + "k" : String(n);
const count = (n, word) => n + " " + word + (n === 1 ? "" : "s");

function numbersOf(line) {
  if (!numbers) return { state: "unknown", text: "…" };
  const edges = line.calls.flatMap(i => edgesOf(graph.edges[i])), sum = together(edges);
  const parts = [];
  if (sum.requests) {
    parts.push(rate(sum.perSecond || 0.01) + "/s", share(sum.errors, sum.requests));
    if (sum.samples && !sum.denied) parts.push((sum.parts > 1 ? "≤" : "") + time(sum.p95));
  }
  if (sum.denied) return { state: "denied", text: [...parts.slice(0, 1), "⊘ " + many(sum.denied) + " denied"].join(" · ") };
  if (sum.requests) return { state: sum.errors ? "failing" : "busy", text: (sum.errors ? "! " : "") + parts.join(" · ") };
  if (edges.some(e => e.state === "no traffic")) return { state: "silent", text: "no traffic" };
  return { state: "unknown", text: "not known" };
}

// The worst state of proxies stands in their box.
function stateOf(box) {
  if (!numbers) return { level: "", text: "" };
  if (box.kind === "group") {
    const bad = (box.members || []).filter(id => troubleOf(id));
    return bad.length ? { level: "warn", text: bad.length + " in trouble" } : { level: "", text: "" };
  }
  const all = numbers.proxies.get(box.id) || [], of = (level, list, word) => ({ level, text: list.length + "/" + all.length + " " + word });
  const held = all.filter(p => !p.excepted);
  for (const [level, state, word] of [["bad", "refused", "refused"], ["bad", "not in the mesh", "removed"], ["warn", "behind", "behind"]]) {
    const list = held.filter(p => p.state === state);
    if (list.length) return of(level, list, word);
  }
  const away = all.filter(p => !p.connected), silent = all.filter(p => numbers.silent.has(p.node));
  if (away.length) return away.length === all.length ? { level: "warn", text: "not connected" } : of("warn", away, "away");
  if (silent.length) return of("warn", silent, "silent");
  return { level: "", text: all.length ? all.length + (all.length === 1 ? " proxy" : " proxies") : "" };
}

function troubleOf(id) {
  const about = stateOf({ id });
  return about.level ? about.text : "";
}

function rowOf(call) {
  const edges = edgesOf(call), sum = together(edges);
  if (sum.denied) return [rate(sum.perSecond), "⊘ " + many(sum.denied), ""];
  if (!sum.requests) return [edges.some(e => e.state === "no traffic") ? "no traffic" : "not known", "", ""];
  return [rate(sum.perSecond || 0.01), share(sum.errors, sum.requests), sum.samples ? (sum.parts > 1 ? "≤" : "") + time(sum.p95) : "-"];
}

// toldOf are the numbers of a call, by port, with the routes and rules that requests went by.
function toldOf(call) {
  const parts = [];
  for (const e of edgesOf(call)) {
    const s = statsOf(e);
    parts.push(element("h3", {}, "port " + (e.port || "-") + (e.portName ? " (" + e.portName + ")" : "") + ", the last " + range()));
    if (e.state) parts.push(element("p", {}, e.state));
    if (s) parts.push(pairs([["requests", s.requests], ["per second", s.perSecond.toFixed(1)], ["errors", s.errors + " (" + share(s.errors, s.requests) + ")"],
      ["denied", deniedOf(e)], ["p50, p95, p99", s.latency.samples ? [s.latency.p50, s.latency.p95, s.latency.p99].map(time).join(", ") : "-"]]));
    for (const [name, end] of [["by route", e.client], ["by rule", e.server]]) {
      if (!end || !(end.lines || []).length) continue;
      parts.push(table({ names: [name, "requests", "errors"], from: 1 }, end.lines.map(l => [[element("span", { class: l.denies ? "deny" : undefined }, (l.denies ? "denies: " : "") + l.name + (l.version ? ", " + l.version : "")), " ", placeOf(l.source)], l.requests, l.errors])));
    }
    if (s && (s.failures || []).length) parts.push(table({ names: ["failed with", "requests"], from: 1 }, s.failures.map(f => [[f.status || "no status", f.grpc >= 0 ? " grpc " + f.grpc : "", f.flags ? " " + f.flags : ""].join(""), f.requests])));
    if (e.server && e.server.denied) parts.push(element("p", {}, (e.allow || []).length ? "The rules let other requests of this caller in." : "No rule lets this caller in.", " The callee is written at ", placeOf(e.calleeSource), "; meshc edges names the line to add."));
    if (e.state === "no traffic") parts.push(element("p", {}, "If nobody needs it, delete the use at ", placeOf(e.uses)));
  }
  if (!parts.length) parts.push(element("p", {}, "no proxy has told of it"));
  return parts;
}

// answeredAlone are requests that the member's own proxy answers: no route led them anywhere.
function answeredAlone(n) {
  const sum = together(numbers.pairs.get(pair(n.id, "")) || []);
  return sum.requests ? [element("p", {}, count(sum.requests, "request") + " of its own were answered by its proxy, and reached nobody")] : [];
}

function proxiesOf(n) {
  const all = numbers.proxies.get(n.id) || [];
  if (!all.length) return [];
  return [element("h3", {}, "proxies"), element("ul", {}, ...all.slice(0, 100).map(p => {
    const li = element("li", { class: p.state === "refused" ? "deny" : undefined }, p.node.split("/").slice(2).join("/") || n.name, ": ", p.state, numbers.silent.has(p.node) ? ", telling nothing" : "", p.excepted ? ", no change waits for it: " + p.excepted : "");
    for (const t of p.types || []) for (const r of t.refusals || []) li.append(element("p", {}, r.type + " " + r.resource + ": " + r.reason, " ", placeOf(r.source)));
    return li;
  }))];
}

// news is what goes on, and what the numbers do not have.
function news() {
  const rows = [];
  const add = (level, text, members) => {
    const names = [...new Set(members || [])];
    rows.push(element("p", { class: level }, text, ...names.slice(0, 8).flatMap(id => [" ", button({}, id, () => { select(id); go({ view: id }); })]), names.length > 8 ? " and " + (names.length - 8) + " more" : ""));
  };
  if (trouble) add("bad", trouble);
  if (numbers) {
    const s = numbers.status, r = numbers.report, waited = s.proxies.filter(p => p.connected && !p.excepted);
    const in_ = state => waited.filter(p => p.state === state).map(p => p.member), behind = in_("behind"), refused = in_("refused");
    for (const l of s.levers || []) add("", "A lever is in force until " + l.until + ": " + l.kind + (l.from ? " from " + l.from : "") + (l.to ? " to " + l.to : "") + (l.port ? " on port " + l.port : "") + (l.method ? " " + l.method : "") + (l.path ? " " + l.path : "") + " (" + (l.by || "nobody") + ": " + l.reason + ")");
    if (s.failure) add("bad", "The mesh on disk is wrong, and the last good one is served: " + s.failure);
    if (s.endpoints) add("bad", "An endpoints file is wrong, and its last good content holds: " + s.endpoints);
    if (behind.length || s.ahead) add("", "A change is on its way, since " + new Date(s.loaded).toLocaleTimeString() + ": " + (waited.length - behind.length) + " of " + count(waited.length, "proxy").replace(/proxys$/, "proxies") + " have it" + (s.ahead ? ", and " + count(s.ahead, "stage") + " to come." : ".") + (behind.length ? " Behind:" : ""), behind);
    if (refused.length) add("bad", "Refused by", refused);
    const away = s.proxies.filter(p => !p.connected).map(p => p.member);
    if (away.length) add("", "Not connected:", away);
    const silent = s.proxies.filter(p => numbers.silent.has(p.node)).map(p => p.member);
    if (silent.length) add("", "Connected and telling nothing, so that their numbers are missing:", silent);
    if (r.omitted) add("", count(r.omitted, "metric") + " of proxies were not kept: of edges of others, or beyond a limit.");
    const known = (new Date(r.now) - new Date(r.since)) / 1000;
    if (known < r.window) add("", "The server was started " + Math.round(known) + " seconds ago, and knows nothing from before.");
  }
  if (at("news").textContent !== rows.map(r => r.textContent).join("")) at("news").replaceChildren(...rows);
  at("news").hidden = !rows.length;
}

// age says how old what is shown is.
function age() {
  const old = !heardAt || performance.now() - heard > patience;
  drawing.classList.toggle("old", old && !!heardAt);
  at("age").classList.toggle("old", old && !!heardAt);
  at("age").textContent = !heardAt ? "asking …" : old ? "old: no answer since " + heardAt.toLocaleTimeString() : "live, " + heardAt.toLocaleTimeString();
  news();
}

// kept does something that makes buttons anew, and keeps the one that has the focus.
function kept(parent, act) {
  const at = [...parent.querySelectorAll("button")].indexOf(document.activeElement);
  act();
  const again = at >= 0 && parent.querySelectorAll("button")[at];
  if (again) again.focus();
}

async function answer(path) {
  const r = await fetch(path, { signal: AbortSignal.timeout(10000), cache: "no-store" });
  if (r.status === 204) return null;
  if (!r.ok) throw Object.assign(new Error((await r.text()).trim()), { status: r.status });
  return r.json();
}

// poll asks once. A view that is gone, as its member is, leads to the overview.
async function poll() {
  try {
    const asked = view();
    const [report, status, drawn] = await Promise.all([answer("/edges?window=" + range()), answer("/status"),
      answer("/page/scene?view=" + encodeURIComponent(asked) + "&have=" + (scene && scene.view === asked ? version : ""))]);
    numbers = told(report, status);
    heard = performance.now();
    heardAt = new Date(report.now);
    trouble = "";
    data.mesh = report.mesh;
    document.querySelector("h1").textContent = report.mesh;
    if (drawn && asked === view()) {
      ({ version, graph, groups } = drawn);
      nodes = new Map(graph.nodes.map(n => [n.id, n]));
      show(drawn.scene);
    } else if (scene) {
      repaint();
      mark();
      kept(at("list"), list);
      kept(detail, explain);
    }
  } catch (e) {
    if (e.status === 404) go({ view: "" });
    trouble = e.status ? "The server says: " + e.message : heardAt ? "" : "The server does not answer.";
  }
  age();
}

let asking = false;
async function again() {
  if (asking) return;
  asking = true;
  try { if (!document.hidden) await poll(); } finally { asking = false; }
}

function follow() {
  legend([["busy", "requests"], ["failing", "! some failed"], ["denied", "⊘ some denied"], ["silent", "declared, no traffic"], ["unknown", "not known: no proxy of the caller tells"]],
    ["on a line: requests per second · errors · 95 of 100 took at most", "← leads back", "thick frame: gateway", "dashed frame: external or not in the mesh", "click for routes and rules"]);
  at("range").hidden = false;
  at("window").append(...ranges.map(([value, text]) => element("option", { value }, text)));
  at("window").value = range();
  at("window").addEventListener("change", () => go({ last: at("window").value }));
  addEventListener("hashchange", () => { at("window").value = range(); again(); });
  document.addEventListener("visibilitychange", again);
  setInterval(again, ask);
  setInterval(age, 1000);
  again();
}

if (data.live) follow();
