"use strict";
// From layouts to SVG. Everything that comes from the graph is written as text.

const SVG = "http://www.w3.org/2000/svg";
const scene = document.getElementById("scene");
const places = new Map(); // of every box that is drawn: { x, y, w, h }
let extent = { w: 1, h: 1 };

function draw(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function render() {
  const { columns, w, h } = layoutAll();
  extent = { w, h };
  places.clear();
  const back = draw("g", {}), edges = draw("g", {}), front = draw("g", {});
  const paint = painter();
  for (const { root, layout, x, y } of columns) {
    const stack = [{ layout, x, y }];
    while (stack.length) {
      const { layout: inner, x: left, y: top } = stack.pop();
      for (const box of inner.boxes) {
        const place = { x: left + box.x, y: top + box.y, w: box.w, h: box.h };
        places.set(box.id, place);
        if (box.inside) {
          drawOpen(box.id, place, back, front);
          stack.push({ layout: box.inside, x: place.x, y: place.y });
        } else {
          drawClosed(box.id, place, front, paint);
        }
      }
      for (const edge of inner.edges) drawEdge(edge, left, top, edges);
    }
    if (graph.roots.length > 1) drawTitle(root, x, y, layout, back);
  }
  drawCrossing(edges);
  scene.setAttribute("class", shown.colour === "family" ? "" : "g-heat");
  scene.replaceChildren(back, edges, front);
  drawLegend();
}

function drawTitle(root, x, y, layout, parent) {
  const text = items[root].backward ? "Backward ↑" : "Forward ↓";
  draw("text", { class: "g-title", x: x + layout.w / 2, y: y - 18 }, parent, text);
}

function drawBox(id, place, parent, open) {
  const item = items[id];
  const kind = isGroup(id) ? "group" : item.op ? "op" : item.role;
  const selected = shown.selected !== null && boxOf(shown.selected) === id ? " selected" : "";
  const box = draw("g", {
    class: `g-box g-${kind}${open ? " g-open" : ""}${item.backward ? " g-back" : ""}${selected}`,
    transform: `translate(${place.x} ${place.y})`,
    "data-id": id,
    tabindex: "0",
    role: "button",
  }, parent);
  box.setAttribute("aria-label", linesOf(id).join(", "));
  if (isGroup(id)) box.setAttribute("aria-expanded", open ? "true" : "false");
  draw("title", {}, box, isGroup(id) ? `${item.path || item.name} (${item.kind})` : item.label);
  return box;
}

function drawOpen(id, place, parent, front) {
  const item = items[id];
  const box = drawBox(id, place, parent, true);
  draw("rect", { class: "g-frame", width: place.w, height: place.h, rx: 8 }, box);
  const [first] = linesOf(id);
  const [x, y] = [place.x + 10, place.y + 18]; // in front of the lines that lead in
  draw("text", { class: "g-name g-halo", x, y }, front, first);
  draw("text", { class: "g-sub g-halo", x: x + 8 + textWidth(first, true), y }, front, item.kind);
  drawToggle(id, place.w - 18, 13, "−", box);
}

function drawClosed(id, place, parent, paint) {
  const item = items[id];
  const box = drawBox(id, place, parent, false);
  const { w, h } = place;
  const fill = paint(item);
  if (item.count > 1) {
    for (const shift of [8, 4]) {
      draw("rect", { class: "g-body", x: shift, y: -shift, width: w, height: h, rx: 6, ...fill }, box);
    }
  }
  const round = isGroup(id) || item.op ? 6 : h / 2;
  draw("rect", { class: "g-body", width: w, height: h, rx: round, ...fill }, box);
  const [first, second] = linesOf(id);
  const middle = isGroup(id) ? (w - 20) / 2 : w / 2;
  draw("text", { class: "g-name g-mid", x: middle, y: 18 }, box, first);
  draw("text", { class: "g-sub g-mid", x: middle, y: 33 }, box, second);
  if (isGroup(id)) drawToggle(id, w - 16, h / 2, "+", box);
}

function drawToggle(id, x, y, sign, parent) {
  const toggle = draw("g", { class: "g-toggle", "data-toggle": id, transform: `translate(${x} ${y})` }, parent);
  draw("circle", { r: 8 }, toggle);
  draw("path", { d: sign === "+" ? "M-4 0H4M0 -4V4" : "M-4 0H4" }, toggle);
}

function curve(points) {
  const [start, ...rest] = points;
  let path = `M${start.x} ${start.y}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const [p, q] = [rest[i], rest[i + 1]];
    const end = i === rest.length - 2 ? q : { x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 };
    path += `Q${p.x} ${p.y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${path}L${rest[0].x} ${rest[0].y}` : path;
}

function drawEdge({ a, b, points }, left, top, parent) {
  const near = shown.selected !== null && (a === shown.selected || b === shown.selected);
  const moved = points.map((p) => ({ x: p.x + left, y: p.y + top }));
  const head = b === OUT || (isGroup(b) && shown.open.has(b)) ? {} : { "marker-end": "url(#arrow)" };
  draw("path", { class: `g-edge${near ? " near" : ""}`, d: curve(moved), ...head }, parent);
}

// What the forward pass keeps for the backward pass.
function drawCrossing(parent) {
  if (rootsShown().length < 2) return;
  const pairs = new Map();
  for (const [source, user] of graph.crossing) {
    const [a, b] = [boxOf(source), boxOf(user)];
    if (a !== null && b !== null) pairs.set(`${a} ${b}`, [a, b]);
  }
  for (const [a, b] of pairs.values()) {
    const near = a === shown.selected || b === shown.selected;
    const [p, q] = [places.get(a), places.get(b)];
    if (!p || !q || (pairs.size > 150 && !near)) continue;
    const [x0, y0, x1, y1] = [p.x + p.w, p.y + p.h / 2, q.x, q.y + q.h / 2];
    const bend = Math.max(40, (x1 - x0) / 2);
    const d = `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
    draw("path", { class: `g-cross${near ? " near" : ""}`, d }, parent);
  }
}

const COLOURS = {
  macs: ["macs", ""],
  memory: ["bytes", "B"],
  saved: ["saved", "B"],
  time: ["time", "s"],
};

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// How a closed box is filled: by its family, or by its share of the largest amount shown.
function largest() {
  const [key] = COLOURS[shown.colour];
  const found = new Set(graph.nodes.map((node) => boxOf(node.id)));
  let most = 0;
  for (const id of found) if (id !== null) most = Math.max(most, items[id][key]);
  return most;
}

function painter() {
  if (shown.colour === "family") {
    return (item) => ({ fill: isGroup(item.id) ? themeColour("--group") : themeColour(`--f${item.family ?? 0}`) });
  }
  const [key] = COLOURS[shown.colour];
  const most = largest();
  const [cold, hot] = [themeColour("--cold"), themeColour("--hot")].map(channels);
  return (item) => {
    const share = most ? Math.sqrt(item[key] / most) : 0;
    return { fill: `rgb(${cold.map((c, i) => Math.round(c + (hot[i] - c) * Math.min(1, share))).join(" ")})` };
  };
}

function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

function drawLegend() {
  const legend = document.getElementById("legend");
  legend.replaceChildren();
  const entry = (colour, text) => {
    const line = document.createElement("span");
    const dot = document.createElement("i");
    dot.style.background = colour;
    line.append(dot, text);
    legend.append(line);
  };
  if (shown.colour === "family") {
    const used = new Set(graph.nodes.map((node) => node.family ?? 0));
    graph.families.forEach((name, i) => used.has(i) && entry(themeColour(`--f${i}`), name));
  } else {
    const [, unit] = COLOURS[shown.colour];
    entry(themeColour("--cold"), "0");
    entry(themeColour("--hot"), amount(largest(), unit));
  }
}
