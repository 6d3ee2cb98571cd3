// Invocations: a filtered list, and one with its journal and what an operator can do to it.

import { get, query, quoted, request } from "./api.js";
import { button, facts, h, idLink, link, notice, reporting, table, tag, when } from "./dom.js";

const STATUSES = ["pending", "scheduled", "ready", "running", "backing-off", "suspended", "paused", "completed"];
const LISTED_MAX = 200;
const JOURNAL_MAX = 1000;
const LOST_BY = { kill: "What it calls is killed as well, and nothing is undone.", purge: "Its result and journal are lost.", "purge-journal": "Its journal is lost." };
const CHANGE_MS_MAX = 2000; // how long an action is waited for, so that the page does not show what was before
const CHANGE_MS = 100;
const FOLLOW_MS = 1000; // how often the page of an invocation that goes on looks for what became of it

export async function invocations({ search, reload }) {
  const known = (await get("/services")).services.map(({ name }) => name).sort();
  const conditions = [];
  if (search.get("service")) conditions.push(`target_service_name = ${quoted(search.get("service"))}`);
  if (search.get("status")) conditions.push(`status = ${quoted(search.get("status"))}`);
  if (search.get("key")) conditions.push(`target_service_key = ${quoted(search.get("key"))}`);
  const where = conditions.length ? `WHERE ${conditions.join(" AND ")}` : "";
  const rows = await query(
    `SELECT id, target, status, completion_result, created_at, modified_at, retry_count FROM sys_invocation ${where} ` +
    `ORDER BY created_at DESC LIMIT ${LISTED_MAX}`,
  );
  return [
    h("h1", {}, "Invocations"),
    filters(search, known, reload),
    h("div", { class: "panel" }, table({
      Id: (each) => idLink("invocations", each.id),
      Target: (each) => each.target,
      Status: (each) => tag(each.completion_result ?? each.status),
      Retries: (each) => each.retry_count || "",
      Created: (each) => when(each.created_at),
      Changed: (each) => when(each.modified_at),
    }, rows, "No invocation is like that."), rows.length === LISTED_MAX && h("p", { class: "muted" }, `These are the newest ${LISTED_MAX}; choose a service, status or key to see others.`)),
  ];
}

function filters(search, known, reload) {
  const choice = (name, values) => h("select", { name, "aria-label": name },
    h("option", { value: "" }, `any ${name}`), values.map((value) => h("option", { value, selected: search.get(name) === value }, value)));
  const id = h("input", { type: "search", name: "id", placeholder: "inv_… to open", "aria-label": "Invocation id" });
  const key = h("input", { type: "search", name: "key", placeholder: "key", value: search.get("key") ?? "", "aria-label": "Key" });
  const submit = async (event) => {
    const wanted = new URLSearchParams([...new FormData(event.target)].filter(([name, value]) => value && name !== "id"));
    const before = location.hash;
    location.hash = id.value.trim() ? `#/invocations/${id.value.trim()}` : `#/invocations?${wanted}`;
    if (location.hash === before) await reload();
  };
  return h("form", { class: "panel row", onsubmit: reporting(submit) },
    choice("service", known), choice("status", STATUSES), key, id, h("button", { class: "main" }, "Show"));
}

export async function invocation({ rest: [id], reload }) {
  const [row] = await query(`SELECT * FROM sys_invocation WHERE id = ${quoted(id)}`);
  if (!row) return [h("h1", {}, id), h("p", {}, "There is no such invocation (any more).")];
  const journal = await query(
    `SELECT index, entry_type, name, completed, invoked_id, sleep_wakeup_at, appended_at, entry_json FROM sys_journal WHERE id = ${quoted(id)} ORDER BY index LIMIT ${JOURNAL_MAX}`,
  );
  const heading = h("h1", {}, row.target, " ", tag(row.completion_result ?? row.status));
  follow(row, heading, reload).catch(() => {}); // what fails here is told when somebody asks for something
  return [
    heading,
    actions(row, reload),
    h("div", { class: "panel" }, facts({
      Id: h("code", {}, row.id),
      Created: when(row.created_at),
      Changed: when(row.modified_at),
      "Idempotency key": row.idempotency_key,
      "Called by": row.invoked_by_id ? link(`#/invocations/${row.invoked_by_id}`, row.invoked_by_target) : row.invoked_by,
      "Restarted from": row.restarted_from && link(`#/invocations/${row.restarted_from}`, row.restarted_from),
      Deployment: row.pinned_deployment_id && link(`#/deployments/${row.pinned_deployment_id}`, row.pinned_deployment_id),
      Protocol: row.pinned_service_protocol_version && `V${row.pinned_service_protocol_version}`,
      Attempts: row.retry_count,
      "Next attempt": when(row.next_retry_at),
      "Last failure": row.last_failure && h("pre", { class: "bad" }, row.last_failure),
      Failure: row.completion_failure && h("pre", { class: "bad" }, row.completion_failure),
      Trace: row.trace_id && h("code", {}, row.trace_id),
    })),
    h("h2", {}, "Journal"),
    h("div", { class: "panel" }, table({
      "#": (entry) => entry.index,
      Entry: (entry) => entry.entry_type,
      Name: (entry) => entry.name,
      "": (entry) => (entry.completed === undefined ? "" : tag(entry.completed ? "completed" : "pending")),
      At: (entry) => when(entry.appended_at),
      More: (entry) => [
        entry.invoked_id && h("div", {}, idLink("invocations", entry.invoked_id)),
        entry.sleep_wakeup_at && h("div", {}, "until ", when(entry.sleep_wakeup_at)),
        entry.entry_json && h("details", { id: `entry-${entry.index}` }, h("summary", {}, "content"), h("pre", {}, pretty(entry.entry_json))),
      ],
    }, journal, "The journal is empty, or was removed."), journal.length === JOURNAL_MAX && h("p", { class: "muted" }, `These are the first ${JOURNAL_MAX} entries.`)),
  ];
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function actions(row, reload) {
  const act = (action) => async () => {
    if (LOST_BY[action] && !confirm(`${action} ${row.id}? ${LOST_BY[action]}`)) return;
    const answer = await request("PATCH", `/invocations/${row.id}/${action}`);
    notice(`Asked to ${action}`);
    if (answer?.new_invocation_id) location.hash = `#/invocations/${answer.new_invocation_id}`;
    else if (action === "purge") location.hash = "#/invocations";
    else {
      await changed(row);
      await reload();
    }
  };
  const offered = row.status === "completed"
    ? [button("Restart as new", act("restart-as-new"), "main"), button("Purge", act("purge"), "danger"), button("Purge journal", act("purge-journal"))]
    : [button("Resume", act("resume"), "main"), button("Pause", act("pause")), button("Cancel", act("cancel")), button("Kill", act("kill"), "danger")];
  return h("div", { class: "row" }, offered, button("Refresh", reload));
}

// Wait until an invocation is another than the page shows, for a moment.
async function changed(row) {
  for (let waited = 0; waited < CHANGE_MS_MAX; waited += CHANGE_MS) {
    if (await isAnother(row)) return;
    await pause(CHANGE_MS);
  }
}

// Show what becomes of an invocation, until it has ended, the page is left, or the server does not answer.
async function follow(row, shown, reload) {
  if (row.status === "completed") return;
  do {
    await pause(FOLLOW_MS);
    if (!shown.isConnected) return;
  } while (!(await isAnother(row)));
  if (shown.isConnected) await reload();
}

async function isAnother(row) {
  const [now] = await query(`SELECT status, modified_at FROM sys_invocation WHERE id = ${quoted(row.id)}`);
  return now?.status !== row.status || now.modified_at !== row.modified_at;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
