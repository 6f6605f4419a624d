(() => {
  const faults = [];
  const boxes = [...document.querySelectorAll(".node")].map(n => ({ id: n.dataset.id, r: n.querySelector("rect").getBoundingClientRect(), n }));
  const scale = document.getElementById("graph").getBoundingClientRect().width / document.getElementById("graph").viewBox.baseVal.width;
  const name = b => b.id;
  for (let i = 0; i < boxes.length; i++) for (let k = 0; k < i; k++) {
    const a = boxes[i].r, b = boxes[k].r;
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) faults.push(name(boxes[i]) + " overlaps " + name(boxes[k]));
  }
  for (const c of document.querySelectorAll("#graph .call")) {
    const path = c.querySelector(".way"), matrix = path.getScreenCTM();
    const corners = path.getAttribute("d").match(/-?[0-9.]+ -?[0-9.]+/g).map(t => new DOMPoint(...t.split(" ").map(Number)).matrixTransform(matrix));
    for (const b of boxes) {
      const slack = b.id === c.dataset.from || b.id === c.dataset.to ? 2 : -1;
      for (let i = 1; i < corners.length; i++) {
        const [p, q] = [corners[i - 1], corners[i]];
        if (Math.max(p.x, q.x) > b.r.left + slack && Math.min(p.x, q.x) < b.r.right - slack && Math.max(p.y, q.y) > b.r.top + slack && Math.min(p.y, q.y) < b.r.bottom - slack) {
          faults.push(c.dataset.from + " → " + c.dataset.to + " runs through " + name(b));
          break;
        }
      }
    }
    const label = c.querySelector("text").getBoundingClientRect();
    for (const b of boxes) if (label.left < b.r.right && b.r.left < label.right && label.top + 2 < b.r.bottom && b.r.top < label.bottom - 2) faults.push("the label " + c.textContent + " lies on " + name(b));
  }
  const labels = [...document.querySelectorAll("#graph .call text")].map(t => [t, t.getBoundingClientRect()]);
  for (let i = 0; i < labels.length; i++) for (let k = 0; k < i; k++) {
    const a = labels[i][1], b = labels[k][1];
    if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom - 2 && b.top + 2 < a.bottom - 2) faults.push("the labels " + labels[i][0].textContent + " and " + labels[k][0].textContent + " overlap");
  }
  for (const b of boxes) for (const t of b.n.querySelectorAll("text:not(:empty)")) {
    const r = t.getBoundingClientRect();
    if (r.left < b.r.left || r.right > b.r.right || r.top < b.r.top || r.bottom > b.r.bottom) faults.push("the text " + t.textContent + " is wider than its box " + name(b));
  }
  for (const t of document.querySelectorAll("#graph text")) if (parseFloat(getComputedStyle(t).fontSize) * scale < 12) faults.push(t.textContent + " is too small");
  for (const e of document.querySelectorAll("header *, nav *, aside *, footer *, #news *")) if (e.textContent && parseFloat(getComputedStyle(e).fontSize) < 12) faults.push(e.tagName + " is too small: " + e.textContent);
  return faults.slice(0, 8).join("; ");
})()
