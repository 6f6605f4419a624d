// A still page has all of its scenes, and no numbers.
function still() {
  legend([["", "a call that is let in"], ["routed", "only routes of others, or the proxy, call"], ["denied", "rules deny a part of it"]],
    ["on a line: ports", "← leads back", "thick frame: gateway", "dashed frame: external", "click for rules and lines of the spec", "/ to search"]);
  const draw = () => show(data.scenes[view()] || data.scenes[""]);
  addEventListener("hashchange", draw);
  draw();
}

if (!data.live) still();
