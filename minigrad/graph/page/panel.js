"use strict";
// The panel: all that is known of the item that is selected, with links to what it belongs to.

const panel = document.getElementById("panel");

function make(name, parent, text, attributes = {}) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function link(parent, id, text) {
  const button = make("button", parent, text ?? items[id].label ?? items[id].name, { class: "link" });
  button.addEventListener("click", () => reveal(id));
  return button;
}

function row(list, name, value) {
  if (value === undefined || value === "" || value === null) return;
  make("dt", list, name);
  const cell = make("dd", list);
  if (typeof value === "function") value(cell);
  else cell.textContent = value;
}

const ROOM = 40; // links that are listed before the rest is only counted

function links(entries) {
  if (!entries.length) return undefined;
  return (cell) => {
    for (const [id, note] of entries.slice(0, ROOM)) {
      const line = make("div", cell);
      link(line, id);
      if (note) make("span", line, ` ${note}`, { class: "note" });
    }
    if (entries.length > ROOM) make("div", cell, `and ${entries.length - ROOM} more`, { class: "note" });
  };
}

function exact(value, unit) {
  if (!value) return undefined;
  const short = amount(value, unit);
  return unit === "s" || value < 1000 ? short : `${short} (${value.toLocaleString("en")})`;
}

function showPanel() {
  panel.replaceChildren();
  panel.hidden = shown.selected === null;
  if (panel.hidden) return;
  const id = shown.selected;
  const close = make("button", panel, "×", { class: "close", "aria-label": "Close the panel" });
  close.addEventListener("click", () => select(null));
  if (isGroup(id)) showGroup(items[id]);
  else showNode(items[id]);
}

function showGroup(group) {
  make("h2", panel, linesOf(group.id)[0]);
  const toggle = make("button", panel, shown.open.has(group.id) ? "Close" : "Open", { id: "toggle" });
  toggle.addEventListener("click", () => flip(group.id));
  const list = make("dl", panel);
  row(list, "Module", group.path);
  row(list, "Kind", group.kind);
  row(list, "Pass", group.backward ? "backward" : "forward");
  if (group.count > 1) row(list, "Blocks", `${group.count} of equal structure`);
  row(list, "Ops", String(group.calls));
  showAmounts(list, group);
  const twin = twinOf(group);
  if (twin !== undefined) row(list, group.backward ? "Forward" : "Backward", links([[twin]]));
  const groups = group.children.filter(isGroup);
  row(list, "Inside", links((groups.length ? groups : group.children).map((child) => [child])));
}

function showNode(node) {
  make("h2", panel, node.title);
  const list = make("dl", panel);
  row(list, "Name", node.label);
  row(list, "Op", node.op);
  row(list, "Role", node.role && (node.trained ? `${node.role}, trained` : node.role));
  row(list, "Module", node.path);
  row(list, "Pass", node.backward ? "backward" : "forward");
  row(list, "Gives", node.gives.join(", "));
  const parameters = Object.entries(node.parameters ?? {});
  if (parameters.length) {
    row(list, "Parameters", (cell) => {
      for (const [name, value] of parameters) make("div", cell, `${name} = ${value}`);
    });
  }
  const from = node.inputs.map(([source, output]) => [source, items[source].specs[output]]);
  row(list, "Inputs", links(from));
  row(list, "Outputs", (cell) => node.specs.forEach((spec) => make("div", cell, spec)));
  row(list, "Read by", links(node.users.map(([user, operand]) => [user, `as input ${operand}`])));
  showAmounts(list, node);
  row(list, "Backward of", node.origin === undefined ? undefined : links([[node.origin]]));
  row(list, "Its backward", links(node.origins.map((origin) => [origin])));
  row(list, "Line", node.line);
}

function showAmounts(list, item) {
  row(list, "MACs", exact(item.macs, ""));
  row(list, "FLOPs", exact(item.flops, ""));
  row(list, "Results", exact(item.bytes, "B"));
  row(list, "Bytes moved", exact(item.moved, "B"));
  row(list, "Kept for backward", exact(item.saved, "B"));
  if (graph.timed) row(list, "Time", exact(item.time, "s") ?? "not measured");
}
