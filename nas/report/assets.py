"""The style sheet and the script of the page, as text: the page must carry everything it needs."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light; --ink: #1f2430; --soft: #5a6170; --line: #dfe3e8; --wash: #f6f7f9; --mark: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0; background: white; color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main, header, nav { max-width: 80rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.5rem; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 65rem; margin: .5rem 0; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: .75rem 0 0; margin: 0; }
a { color: var(--mark); }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem 1.5rem;
  margin: 1.25rem 0 0; padding: 1rem 1.25rem; background: var(--wash); border-radius: .5rem; }
.strip div, .pairs div { min-width: 0; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: .5rem 1.5rem;
  margin: .5rem 0; }
.pairs dd { font-weight: 400; font-size: .9rem; }
.found { margin: 1.25rem 0 0; padding: .75rem 1.25rem; border-left: 4px solid var(--mark); background: var(--wash); }
figure { margin: 1.5rem 0; }
.finding { font-weight: 600; margin: 0 0 .4rem; }
.plot { border: 1px solid var(--line); border-radius: .5rem; padding: .25rem; overflow: hidden; }
figcaption { margin-top: .35rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .6rem .75rem; }
th, td { padding: .4rem .6rem; border-top: 1px solid var(--line); text-align: right; vertical-align: top; }
td { white-space: nowrap; }
th:first-child, td:first-child, td.text, .front th:last-child { text-align: left; }
td.wide { white-space: normal; min-width: 15rem; }
td .of { color: var(--soft); display: block; font-size: .8rem; }
thead th { background: var(--wash); vertical-align: bottom; }
tr.knee td { background: #fff6e0; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0;
  cursor: pointer; text-align: inherit; }
th button::after { content: " \\2195"; color: var(--soft); }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
a:focus-visible, button:focus-visible, .scroll:focus-visible { outline: 3px solid #e69f00; outline-offset: 2px; }
.key { display: inline-block; padding: 0 .35em; border-radius: .25em; margin: 0 .2em .2em 0;
  color: white; font-size: .8rem; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; }
summary { cursor: pointer; color: var(--mark); margin: .5rem 0; }
pre { background: var(--wash); border-radius: .5rem; padding: .75rem 1rem; overflow-x: auto; }
footer { margin: 3rem 0 2rem; }
@media print { nav { display: none; } .plot, table { break-inside: avoid; } }
"""

# Sorts by data-value, numbers as numbers; rows without a value stay last either way.
SCRIPT = """
document.querySelectorAll("table.sortable").forEach(function (table) {
  var heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach(function (head, column) {
    var button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      var sign = up ? 1 : -1;
      var body = table.tBodies[0];
      var rows = Array.from(body.rows);
      var value = function (row) { return row.cells[column].dataset.value; };
      rows.sort(function (a, b) {
        var x = value(a), y = value(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        var p = Number(x), q = Number(y);
        return sign * (isNaN(p) || isNaN(q) ? (x < y ? -1 : x > y ? 1 : 0) : p - q);
      });
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""
