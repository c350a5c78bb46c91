"use strict";
// Where things stand. Every open group is laid out by itself (by dagre) and is a box in the group
// around it, so opening one costs no more than itself and those around it; what is not shown is
// never laid out.

const HEADER = 26, PAD = 14, HEIGHT = 42, GAP = 90;
const layouts = new Map();
const ruler = document.createElement("canvas").getContext("2d");
const widths = new Map();

function textWidth(text, bold) {
  const key = (bold ? "b" : "n") + text;
  if (!widths.has(key)) {
    ruler.font = bold ? "600 13px system-ui, sans-serif" : "11px system-ui, sans-serif";
    widths.set(key, ruler.measureText(text).width);
  }
  return widths.get(key);
}

function clip(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

// The two lines in a closed box.
function linesOf(id) {
  const item = items[id];
  if (!isGroup(id)) {
    const second = item.op || isInput(item) ? item.shapes.join(", ") : `${item.role} ${item.shapes[0]}`;
    return [clip(item.title, 42), clip(second, 46)];
  }
  const times = item.count > 1 ? ` ×${item.count}` : "";
  const work = item.macs ? `${amount(item.macs, "")} MACs` : `${item.calls} ops`;
  return [clip(`${item.name}${times}`, 42), clip(`${item.kind} · ${work}`, 46)];
}

function closedSize(id) {
  const [first, second] = linesOf(id);
  const room = isGroup(id) ? 46 : 24;
  return { w: Math.max(textWidth(first, true), textWidth(second, false), 50) + room, h: HEIGHT };
}

// { w, h, boxes: [{ id, x, y, w, h, inside }], edges: [{ a, b, points }], ports: { [IN]: x, [OUT]: x } }
function layoutOf(id, direction) {
  const children = items[id].children.filter((child) => !isHidden(child));
  const inside = new Map();
  const sizes = children.map((child) => {
    if (!isGroup(child) || !shown.open.has(child)) return closedSize(child);
    const layout = layoutOf(child, direction);
    inside.set(child, layout);
    return layout;
  });
  const key = `${id} ${direction} ${children.map((c, i) => `${c}:${sizes[i].w | 0},${sizes[i].h | 0}`)}`;
  if (!layouts.has(key)) layouts.set(key, arrange(id, direction, children, sizes));
  const layout = layouts.get(key);
  const boxes = layout.boxes.map((box) => ({ ...box, inside: inside.get(box.id) }));
  const edges = layout.edges.map((edge) => ({ ...edge, points: joined(edge, boxes, direction) }));
  return { ...layout, boxes, edges };
}

function arrange(id, direction, children, sizes) {
  const isRoot = items[id].outer === null;
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: direction, nodesep: 22, ranksep: 30, edgesep: 12 });
  g.setDefaultEdgeLabel(() => ({}));
  children.forEach((child, i) => g.setNode(child, { width: sizes[i].w, height: sizes[i].h }));
  for (const [a, b] of items[id].edges) {
    for (const port of [a, b]) {
      if (port < 0 && !g.hasNode(port)) g.setNode(port, { width: 8, height: 1 });
    }
    if (g.hasNode(a) && g.hasNode(b)) g.setEdge(a, b);
  }
  dagre.layout(g, { acyclicer: "greedy" });
  const { width = 0, height = 0 } = g.graph();
  const w = isRoot ? width : Math.max(width + 2 * PAD, headerWidth(id));
  // A port has a rank of its own, and so room enough.
  const room = (port) => (isRoot ? 0 : g.hasNode(port) ? PAD - 20 : PAD);
  const [above, below] = direction === "TB" ? [IN, OUT] : [OUT, IN];
  const [left, top] = [(w - width) / 2, room(above) + (isRoot ? 0 : HEADER)];
  const h = height + top + room(below);
  const at = (p) => ({ x: p.x + left, y: p.y + top });
  const boxes = children.map((child) => {
    const { x, y, width, height } = g.node(child);
    return { id: child, x: x - width / 2 + left, y: y - height / 2 + top, w: width, h: height };
  });
  // In the order they are computed in, which is that in which the tabulator key goes through them.
  boxes.sort((p, q) => (direction === "TB" ? p.y - q.y : q.y + q.h - p.y - p.h));
  const edges = g.edges().map(({ v, w: to }) => {
    return { a: Number(v), b: Number(to), points: g.edge(v, to).points.map(at) };
  });
  const ports = {};
  for (const port of [IN, OUT]) {
    if (!g.hasNode(port)) continue;
    ports[port] = at(g.node(port)).x;
    const down = (direction === "TB") === (port === IN);
    const rim = { x: ports[port], y: down ? 0 : h };
    for (const edge of edges) {
      if (edge.a === port) edge.points[0] = rim;
      if (edge.b === port) edge.points[edge.points.length - 1] = rim;
    }
  }
  return { w, h, boxes, edges, ports };
}

function headerWidth(id) {
  const [first] = linesOf(id);
  return textWidth(first, true) + textWidth(items[id].kind, false) + 60;
}

// An edge to an open group goes on where the group's own edges begin.
function joined(edge, boxes, direction) {
  const points = edge.points.map((p) => ({ ...p }));
  const ends = [[edge.a, OUT, points[0]], [edge.b, IN, points[points.length - 1]]];
  for (const [id, port, point] of ends) {
    const box = id >= 0 && boxes.find((b) => b.id === id);
    if (!box || !box.inside || box.inside.ports[port] === undefined) continue;
    point.x = box.x + box.inside.ports[port];
    point.y = (direction === "TB") === (port === IN) ? box.y : box.y + box.h;
  }
  return points;
}

// The passes side by side: forward downwards, backward upwards again, ending where it began.
function layoutAll() {
  const roots = rootsShown();
  let x = 0;
  const columns = roots.map((root, i) => {
    const layout = layoutOf(root, i ? "BT" : "TB");
    const column = { root, layout, x };
    x += layout.w + GAP;
    return column;
  });
  const height = Math.max(...columns.map((column) => column.layout.h));
  for (const column of columns) column.y = height - column.layout.h;
  return { columns, w: Math.max(x - GAP, 1), h: Math.max(height, 1) };
}
