"use strict";
// The page's controls: pointer, wheel, keyboard, search, theme, export.

const canvas = document.getElementById("canvas");
const byId = (id) => document.getElementById(id);
const view = { x: 0, y: 0, k: 1 };

function applyView() {
  scene.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const k = Math.min(4, Math.max(0.02, view.k * factor));
  view.x = x - ((x - view.x) * k) / view.k;
  view.y = y - ((y - view.y) * k) / view.k;
  view.k = k;
  applyView();
}

// The width that the panel leaves free.
function freeWidth() {
  const width = canvas.clientWidth;
  return panel.hidden || width < 2.2 * panel.offsetWidth ? width : width - panel.offsetWidth - 12;
}

function fittingScale({ w, h }) {
  return Math.min(1.4, (freeWidth() - 60) / (w + 20), (canvas.clientHeight - 100) / (h + 20));
}

function fit() {
  view.k = Math.max(0.02, fittingScale(extent));
  view.x = (freeWidth() - extent.w * view.k) / 2;
  view.y = (canvas.clientHeight - (extent.h - 20) * view.k) / 2;
  applyView();
}

function center(id) {
  const place = places.get(id);
  if (!place) return;
  view.k = Math.max(view.k, 0.7);
  view.x = freeWidth() / 2 - (place.x + place.w / 2) * view.k;
  view.y = canvas.clientHeight / 2 - (place.y + Math.min(place.h, 200) / 2) * view.k;
  applyView();
}

// Draw anew with what stands under the reader's eyes staying there.
function redraw(anchor) {
  const before = places.get(anchor);
  const focused = document.activeElement?.dataset?.id;
  render();
  const after = places.get(anchor);
  if (before && after) {
    view.x += (before.x - after.x) * view.k;
    view.y += (before.y - after.y) * view.k;
    applyView();
  }
  if (focused !== undefined) boxElement(focused)?.focus({ preventScroll: true });
  reflect();
}

function boxElement(id) { return scene.querySelector(`.g-box[data-id="${Number(id)}"]`); }

function select(id) {
  shown.selected = id;
  redraw();
  showPanel();
}

function flip(id) {
  if (!shown.open.delete(id)) shown.open.add(id);
  redraw(id);
  showPanel();
}

function reveal(id) {
  const root = rootOf(id);
  if (!rootsShown().includes(root)) shown.pass = "both";
  for (const group of groupsAround(id)) shown.open.add(group);
  if (isHidden(id)) shown.leaves = true;
  shown.selected = id;
  redraw();
  showPanel();
  center(id);
}

function rootOf(id) {
  while (items[id].outer !== null) id = items[id].outer;
  return id;
}

// Buttons and boxes tell what is shown.
function reflect() {
  for (const button of document.querySelectorAll("[data-pass]")) {
    button.setAttribute("aria-pressed", String(button.dataset.pass === shown.pass));
  }
  byId("leaves").checked = shown.leaves;
  byId("colour").value = shown.colour;
}

// -- pointer ------------------------------------------------------------------------------------

let drag = null;
canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  drag = { x: event.clientX, y: event.clientY, moved: false, id: event.pointerId };
});
canvas.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!drag.moved && Math.hypot(dx, dy) < 4) return;
  if (!drag.moved) canvas.setPointerCapture(drag.id);
  drag = { ...drag, x: event.clientX, y: event.clientY, moved: true };
  canvas.classList.add("dragging");
  view.x += dx;
  view.y += dy;
  applyView();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    // A click follows the release of a drag; it is not meant for a box.
    const moved = drag?.moved;
    drag = null;
    canvas.classList.remove("dragging");
    if (moved) window.addEventListener("click", (e) => e.stopPropagation(), { capture: true, once: true });
  });
}
canvas.addEventListener("click", (event) => {
  const toggle = event.target.closest("[data-toggle]");
  if (toggle) return flip(Number(toggle.dataset.toggle));
  const box = event.target.closest(".g-box");
  select(box ? Number(box.dataset.id) : null);
});
canvas.addEventListener("dblclick", (event) => {
  const box = event.target.closest(".g-box");
  if (box && !event.target.closest("[data-toggle]") && isGroup(Number(box.dataset.id))) flip(Number(box.dataset.id));
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });

// -- keyboard -----------------------------------------------------------------------------------

const pan = (x, y) => () => { view.x += x; view.y += y; applyView(); };
const KEYS = {
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  0: fit,
  ArrowLeft: pan(60, 0),
  ArrowRight: pan(-60, 0),
  ArrowUp: pan(0, 60),
  ArrowDown: pan(0, -60),
  "/": () => byId("search").focus(),
  Escape: () => select(null),
  o: () => byId("open-level").click(),
  c: () => byId("close-all").click(),
  f: () => setPass("forward"),
  b: () => setPass("backward"),
  a: () => setPass("both"),
  s: () => byId("export").click(),
  t: () => byId("theme").click(),
};
document.addEventListener("keydown", (event) => {
  const editing = ["INPUT", "SELECT"].includes(event.target.tagName) && event.target.type !== "checkbox";
  if (editing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = event.target.closest?.(".g-box");
  if (box && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    const id = Number(box.dataset.id);
    if (isGroup(id) && shown.selected === id) flip(id);
    else select(id);
  } else if (Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

// -- search -------------------------------------------------------------------------------------

const FOUND = 30;

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const list = byId("found");
  list.replaceChildren();
  list.hidden = !words.length;
  if (!words.length) return;
  const found = items.filter((item) => {
    if (item.outer === null) return false;
    const all = [item.label, item.title, item.path, item.name, item.kind, item.role].join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  });
  for (const item of found.slice(0, FOUND)) {
    const line = make("li", list);
    const entry = link(line, item.id);
    make("span", entry, ` ${isGroup(item.id) ? `${item.kind}${item.backward ? ", backward" : ""}` : item.shapes[0]}`, { class: "note" });
    entry.addEventListener("click", () => { list.hidden = true; });
  }
  const more = found.length - FOUND;
  if (!found.length || more > 0) make("li", list, found.length ? `and ${more} more` : "nothing found", { class: "note" });
}
byId("search").addEventListener("input", (event) => search(event.target.value));
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") byId("found").querySelector("button")?.click();
  if (event.key === "ArrowDown") byId("found").querySelector("button")?.focus();
  if (event.key === "Escape") {
    event.target.value = "";
    search("");
    canvas.focus();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".search")) byId("found").hidden = true;
});

// -- controls -----------------------------------------------------------------------------------

function setPass(pass) {
  if (graph.roots.length < 2) return;
  shown.pass = pass;
  redraw();
  fit();
}
for (const button of document.querySelectorAll("[data-pass]")) {
  button.addEventListener("click", () => setPass(button.dataset.pass));
  button.hidden = graph.roots.length < 2;
}
byId("colour").addEventListener("change", (event) => { shown.colour = event.target.value; redraw(); });
byId("colour").querySelector("[value=time]").disabled = !graph.timed;
byId("leaves").addEventListener("change", (event) => { shown.leaves = event.target.checked; redraw(); });
byId("open-level").addEventListener("click", () => { if (openLevel(rootsShown()).length) { redraw(); fit(); showPanel(); } });
byId("close-all").addEventListener("click", () => { shown.open.clear(); redraw(); fit(); showPanel(); });
byId("fit").addEventListener("click", fit);

const dark = window.matchMedia("(prefers-color-scheme: dark)");
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  redraw();
}
byId("theme").addEventListener("click", () => {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
});
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));

// -- export -------------------------------------------------------------------------------------

// The rules of drawings, with the theme's colours put in, so that the file looks as the page does.
function drawingStyle() {
  const rules = [...document.styleSheets[0].cssRules].map((rule) => rule.cssText);
  const ours = rules.filter((rule) => /^\.g-/.test(rule) && !rule.includes(":hover"));
  return ours.join("\n").replace(/var\((--[\w-]+)\)/g, (_, name) => themeColour(name));
}

function exportSVG() {
  const margin = 40;
  const [w, h] = [extent.w + 2 * margin, extent.h + 2 * margin];
  const file = draw("svg", { width: w, height: h, viewBox: `${-margin} ${-margin} ${w} ${h}` });
  draw("style", {}, file, drawingStyle());
  draw("rect", { x: -margin, y: -margin, width: w, height: h, fill: themeColour("--ground") }, file);
  file.append(canvas.querySelector("defs").cloneNode(true));
  const copy = scene.cloneNode(true);
  copy.removeAttribute("transform");
  copy.querySelectorAll(".g-toggle").forEach((toggle) => toggle.remove());
  copy.querySelectorAll(".g-box").forEach((box) => {
    for (const name of ["tabindex", "role", "aria-label", "aria-expanded"]) box.removeAttribute(name);
    box.classList.remove("selected");
  });
  file.append(copy);
  return new XMLSerializer().serializeToString(file);
}

byId("export").addEventListener("click", () => {
  const url = URL.createObjectURL(new Blob([exportSVG()], { type: "image/svg+xml" }));
  const name = graph.name.replace(/[^\w.-]+/g, "_") || "graph";
  make("a", null, "", { href: url, download: `${name}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
});

// A small network is opened as far as it can be read at a glance.
function openReadable() {
  if (graph.nodes.length > 300) return;
  for (const root of rootsShown()) {
    for (let level = openLevel([root]); level.length; level = openLevel([root])) {
      if (fittingScale(layoutAll()) > 0.45) continue;
      level.forEach((group) => shown.open.delete(group));
      break;
    }
  }
}

// -- start --------------------------------------------------------------------------------------

byId("name").textContent = graph.name;
const all = Object.fromEntries(SUMS.map((key) => [key, graph.roots.reduce((sum, root) => sum + items[root][key], 0)]));
byId("status").textContent = [
  `${all.calls} ops`,
  `${amount(all.macs, "")} MACs`,
  `${amount(all.flops, "")} FLOPs`,
  all.saved ? `${amount(all.saved, "B")} kept for backward` : "",
  graph.timed ? amount(all.time, "s") : "",
  "drag and wheel, or arrows and + − 0, to move · double click or Enter to open · / to search",
].filter(Boolean).join(" · ");
openReadable();
setTheme(dark.matches ? "dark" : "light");
showPanel();
fit();
window.addEventListener("resize", applyView);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
