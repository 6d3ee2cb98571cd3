// The state of one object or workflow: shown, and changed as a whole.

import { get, query, quoted, request } from "./api.js";
import { button, h, notice, reporting } from "./dom.js";

export async function state({ search, reload }) {
  const known = (await get("/services")).services.filter(({ ty }) => ty !== "Service").map(({ name }) => name).sort();
  const name = search.get("service") ?? "";
  const key = search.get("key");
  return [h("h1", {}, "State"), choosing(known, name, key, reload), key === null || !name ? null : await editor(name, key)].filter(Boolean);
}

function choosing(known, name, key, reload) {
  const service = h("select", { name: "service", "aria-label": "Service" }, known.map((each) => h("option", { selected: each === name }, each)));
  const wanted = h("input", { type: "search", name: "key", placeholder: "key", value: key ?? "", "aria-label": "Key" });
  const submit = async (event) => {
    const before = location.hash;
    location.hash = `#/state?${new URLSearchParams(new FormData(event.target))}`;
    if (location.hash === before) await reload();
  };
  return h("form", { class: "panel row", onsubmit: reporting(submit) }, service, wanted, h("button", { class: "main" }, "Show"));
}

const read = (name, key) =>
  query(`SELECT key, value, value_utf8 FROM state WHERE service_name = ${quoted(name)} AND service_key = ${quoted(key)} ORDER BY key`);

// What two states have in common if they are the same.
const fingerprint = (rows) => JSON.stringify(rows.map((row) => [row.key, row.value ?? ""]).sort());

const hex = (bytes) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function editor(name, key) {
  const rows = await read(name, key);
  const accepted = [fingerprint(rows)];
  const body = h("tbody");
  const add = (row) => body.append(line(row));
  rows.forEach(add);
  const save = async () => {
    const entries = [...body.rows].map((row) => [row.querySelector("input").value, valueOf(row)]);
    if (entries.some(([each]) => !each)) throw new Error("Every entry wants a name");
    const names = entries.map(([each]) => each);
    const double = names.find((each, index) => names.indexOf(each) !== index);
    if (double) throw new Error(`There are two entries of the name ${double}`);
    if (!accepted.includes(fingerprint(await read(name, key)))) throw new Error("A handler has changed the state meanwhile: show it again");
    await request("POST", `/services/${encodeURIComponent(name)}/state`, { object_key: key, new_state: Object.fromEntries(entries), version: null });
    accepted.push(fingerprint(entries.map(([each, bytes]) => ({ key: each, value: hex(bytes) }))));
    notice("Stored; it is applied between invocations of the object");
  };
  return h("div", { class: "panel" },
    h("table", {}, h("thead", {}, h("tr", {}, ["Name", "Value", ""].map((each) => h("th", {}, each)))), body),
    h("div", { class: "row" }, button("Add entry", () => add({ key: "", value_utf8: "" })), button("Save", save, "main")));
}

// A value that is no text is shown in hexadecimal and kept as it is unless it is changed.
function line({ key, value, value_utf8 }) {
  const isText = value_utf8 !== undefined;
  const name = h("input", { type: "text", value: key, "aria-label": "Name" });
  const content = h("textarea", { rows: 2, "aria-label": "Value", "data-form": isText ? "text" : "hex" }, isText ? value_utf8 : value);
  const row = h("tr", {}, h("td", {}, name), h("td", {}, content, isText ? null : h("span", { class: "muted" }, "hexadecimal")), h("td", {}, button("Remove", () => row.remove(), "danger")));
  return row;
}

function valueOf(row) {
  const content = row.querySelector("textarea");
  if (content.dataset.form === "text") return [...new TextEncoder().encode(content.value)];
  const digits = content.value.trim();
  if (digits.length % 2 || /[^0-9a-f]/i.test(digits)) throw new Error("A hexadecimal value has pairs of the digits 0 to f");
  return (digits.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
}
