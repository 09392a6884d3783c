// SPDX-License-Identifier: GPL-2.0-only
const picture = document.querySelector(".picture"), field = document.getElementById("words"), said = document.getElementById("said");
const nodes = [...picture.querySelectorAll(".p-node")], arrows = [...picture.querySelectorAll(".p-arrow")];
const names = node => node.dataset.names.split(" ");
const pairs = arrow => arrow.dataset.edges.split(" ").map(pair => pair.split(">"));
function choose(wanted) {
  const lit = new Set(wanted);
  picture.classList.toggle("chosen", wanted.length > 0);
  for (const arrow of arrows) {
    const touched = pairs(arrow).some(pair => wanted.includes(pair[0]) || wanted.includes(pair[1]));
    arrow.classList.toggle("lit", touched);
    if (touched) for (const pair of pairs(arrow)) {
      if (wanted.includes(pair[0])) lit.add(pair[1]);
      if (wanted.includes(pair[1])) lit.add(pair[0]);
    }
  }
  for (const node of nodes) node.classList.toggle("lit", names(node).some(name => lit.has(name)));
  return lit.size - wanted.length;
}
for (const node of nodes) {
  node.addEventListener("pointerenter", () => { if (!field.value) choose(names(node)); });
  node.addEventListener("pointerleave", () => { if (!field.value) choose([]); });
}
function filter() {
  const words = field.value.toLowerCase();
  const wanted = words ? nodes.flatMap(names).filter(name => name.toLowerCase().includes(words)) : [];
  const beside = choose(wanted);
  for (const row of document.querySelectorAll("tbody tr")) row.hidden = Boolean(words) && !wanted.includes(row.dataset.name || row.cells[0].textContent);
  said.textContent = words ? `${wanted.length} modules, ${beside} beside them` : "";
}
field.addEventListener("input", filter);
