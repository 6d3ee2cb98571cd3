// Any statement that reads.

import { query } from "./api.js";
import { h, reporting, table } from "./dom.js";

const FIRST = "SELECT target_service_name, status, count(1) AS total\nFROM sys_invocation\nGROUP BY target_service_name, status\nORDER BY total DESC";

const ROWS_MAX = 1000; // more would take a browser long to show

export async function sql() {
  const text = h("textarea", { name: "sql", spellcheck: "false", "aria-label": "Statement" }, sessionStorage.getItem("perdure-sql") ?? FIRST);
  const result = h("div", { class: "panel", id: "rows", hidden: true });
  const run = async () => {
    sessionStorage.setItem("perdure-sql", text.value);
    result.hidden = true;
    const began = performance.now();
    const rows = await query(text.value);
    const names = [...new Set(rows.flatMap(Object.keys))];
    const cell = (name) => (row) => (row[name] === undefined ? null : typeof row[name] === "object" ? JSON.stringify(row[name]) : String(row[name]));
    result.hidden = false;
    result.replaceChildren(
      h("p", { class: "muted" }, `${rows.length} rows in ${Math.round(performance.now() - began)} ms${rows.length > ROWS_MAX ? `; these are the first ${ROWS_MAX}` : ""}`),
      table(Object.fromEntries(names.map((name) => [name, cell(name)])), rows.slice(0, ROWS_MAX), "No rows."),
    );
  };
  return [
    h("h1", {}, "SQL"),
    h("form", { class: "panel", onsubmit: reporting(run) }, text, h("div", { class: "row" }, h("button", { class: "main" }, "Run"))),
    result,
  ];
}
