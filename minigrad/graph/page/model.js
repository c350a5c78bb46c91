"use strict";
// The graph as the page holds it, and what of it is shown. An item is a node or a group (a module's
// call, or several folded into one); it is known by its index, nodes first.

const graph = JSON.parse(document.getElementById("data").textContent);
const items = graph.nodes.concat(graph.groups);
const IN = -1, OUT = -2;
const SUMS = ["macs", "flops", "moved", "saved", "bytes", "time", "calls"];

const shown = {
  open: new Set(),
  pass: graph.roots.length > 1 ? "both" : "forward",
  leaves: false,
  colour: "family",
  selected: null,
};

function isGroup(id) { return id >= graph.nodes.length; }

// Groups stand before those in them: going backwards, a group's parts are summed before itself.
function prepare() {
  items.forEach((item, id) => {
    item.id = id;
    item.outer = null;
    if (!isGroup(id)) {
      item.calls = item.op ? 1 : 0;
      for (const key of ["inputs", "shapes", "specs", "gives"]) item[key] ??= [];
      item.users = [];
      item.origins = [];
    }
    for (const key of SUMS) item[key] ??= 0;
  });
  for (const group of graph.groups) for (const child of group.children) items[child].outer = group.id;
  for (const group of [...graph.groups].reverse()) {
    for (const key of SUMS) for (const child of group.children) group[key] += items[child][key];
  }
  for (const node of graph.nodes) {
    node.inputs.forEach(([source], operand) => items[source].users.push([node.id, operand]));
    if (node.origin !== undefined) items[node.origin].origins.push(node.id);
  }
}

// The groups around an item, the innermost first, without the roots.
function groupsAround(id) {
  const around = [];
  let outer = items[id].outer;
  while (outer !== null && items[outer].outer !== null) {
    around.push(outer);
    outer = items[outer].outer;
  }
  return around;
}

function rootsShown() {
  if (graph.roots.length < 2 || shown.pass === "both") return graph.roots;
  return [graph.roots[shown.pass === "backward" ? 1 : 0]];
}

function isHidden(id) {
  const item = items[id];
  return !isGroup(id) && !item.op && item.role !== "input" && !shown.leaves;
}

// The box that stands for an item: its own, or that of the outermost closed group around it.
function boxOf(id) {
  let box = id;
  for (const group of groupsAround(id)) if (!shown.open.has(group)) box = group;
  return box === id && isHidden(id) ? null : box;
}

// The same module's group in the other pass.
let twins = null;
function twinOf(group) {
  if (twins === null) {
    twins = new Map();
    for (const g of graph.groups) {
      const key = JSON.stringify([g.path, g.name, g.kind, !!g.backward]);
      if (!twins.has(key)) twins.set(key, g.id);
    }
  }
  return twins.get(JSON.stringify([group.path, group.name, group.kind, !group.backward]));
}

function openLevel() {
  const opened = [];
  for (const root of rootsShown()) {
    const stack = [root];
    const level = [];
    while (stack.length) {
      for (const child of items[stack.pop()].children) {
        if (!isGroup(child)) continue;
        if (shown.open.has(child)) stack.push(child);
        else level.push(child);
      }
    }
    level.forEach((group) => shown.open.add(group));
    opened.push(...level);
  }
  return opened;
}

function isInput(node) { return node.role === "input"; }

const UNITS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
function amount(value, unit) {
  if (!value) return `0 ${unit}`.trim();
  if (unit === "s") {
    for (const [scale, name] of [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]) {
      if (value >= scale) return `${Number((value / scale).toPrecision(3))} ${name}`;
    }
    return `${Number((value * 1e9).toPrecision(3))} ns`;
  }
  const [scale, prefix] = UNITS.find(([s]) => value >= s) ?? [1, ""];
  return `${Number((value / scale).toPrecision(3))} ${prefix}${unit}`.trim();
}

prepare();
