// Services: what they offer, their options, and a form to call a handler.

import { get, reach, request } from "./api.js";
import { button, facts, h, idLink, link, notice, reporting, table, tag } from "./dom.js";

export async function services() {
  const listed = (await get("/services")).services.sort((a, b) => a.name.localeCompare(b.name));
  return [
    h("h1", {}, "Services"),
    h("div", { class: "panel" }, table({
      Name: (each) => link(`#/services/${encodeURIComponent(each.name)}`, each.name),
      Type: (each) => each.ty,
      Revision: (each) => each.revision,
      Access: (each) => tag(each.public ? "public" : "private"),
      Handlers: (each) => each.handlers.map(({ name }) => name).sort().join(", "),
      Deployment: (each) => idLink("deployments", each.deployment_id),
    }, listed, "No service is registered.")),
  ];
}

export async function service({ rest: [name], reload }) {
  const path = `/services/${encodeURIComponent(name)}`;
  const [shown, version] = await Promise.all([get(path), get("/version")]);
  const change = async (body) => {
    await request("PATCH", path, body);
    notice("Changed");
    await reload();
  };
  const retries = shown.retry_policy;
  return [
    h("h1", {}, name, " ", tag(shown.public ? "public" : "private")),
    h("div", { class: "row" },
      button(shown.public ? "Make private" : "Make public", () => change({ public: !shown.public })),
      link(`#/invocations?service=${encodeURIComponent(name)}`, "Invocations"),
      shown.ty !== "Service" && link(`#/state?service=${encodeURIComponent(name)}`, "State")),
    h("div", { class: "panel" }, facts({
      Type: shown.ty,
      Revision: shown.revision,
      Deployment: link(`#/deployments/${shown.deployment_id}`, shown.deployment_id),
      "Idempotency retention": shown.idempotency_retention,
      "Journal retention": shown.journal_retention,
      "Workflow retention": shown.workflow_completion_retention,
      "Inactivity timeout": shown.inactivity_timeout,
      "Abort timeout": shown.abort_timeout,
      Retries: `${retries.initial_interval} × ${retries.exponentiation_factor} up to ${retries.max_interval}, ${retries.max_attempts ?? "unlimited"} attempts, then ${retries.on_max_attempts}`,
    }), options(shown, change)),
    h("h2", {}, "Handlers"),
    h("div", { class: "panel" }, table({
      Name: (each) => each.name,
      Type: (each) => each.ty ?? "Plain",
      Access: (each) => tag(each.public ? "public" : "private"),
      Takes: (each) => each.input_description,
      Gives: (each) => each.output_description,
    }, shown.handlers.sort((a, b) => a.name.localeCompare(b.name)))),
    h("h2", {}, "Call"),
    calling(shown, version.ingress_endpoint),
  ];
}

function options(shown, change) {
  const names = ["idempotency_retention", "journal_retention", "inactivity_timeout", "abort_timeout"];
  const option = h("select", { "aria-label": "Option" }, names.map((name) => h("option", {}, name)));
  const value = h("input", { type: "text", placeholder: "1h 30m", required: true, "aria-label": "Value" });
  const submit = async () => {
    await change({ [option.value]: value.value });
  };
  return h("form", { class: "row", onsubmit: reporting(submit) }, option, value, h("button", {}, "Set"));
}

function calling(shown, ingress) {
  const handler = h("select", { name: "handler", "aria-label": "Handler" }, shown.handlers.map(({ name }) => h("option", {}, name)));
  const key = h("input", { type: "text", name: "key", placeholder: "key", "aria-label": "Key" });
  const body = h("textarea", { name: "body", placeholder: "JSON, or nothing", "aria-label": "Body" });
  const result = h("pre", { id: "result", hidden: true });
  const call = (mode) => async () => {
    if (!ingress) throw new Error("No ingress is known: set advertised_ingress");
    const object = shown.ty === "Service" ? "" : `/${encodeURIComponent(key.value)}`;
    const url = `${ingress}${shown.name}${object}/${handler.value}${mode}`;
    const sent = body.value.trim();
    result.hidden = true;
    const answer = await reach(`The ingress at ${ingress}`, url, { method: "POST", body: sent || undefined, headers: sent ? { "content-type": "application/json" } : {} });
    result.hidden = false;
    result.textContent = `${answer.status}\n${await answer.text()}`;
  };
  return h("div", { class: "panel" },
    h("div", { class: "row" }, handler, shown.ty !== "Service" && key, button("Call", call(""), "main"), button("Send", call("/send"))),
    body, result);
}
