// Deployments: register, look at what holds them, remove.

import { get, request } from "./api.js";
import { button, facts, h, link, notice, reporting, table, tag, when } from "./dom.js";

const address = (each) => each.uri ?? each.arn;

export async function deployments({ reload }) {
  const listed = (await get("/deployments")).deployments.sort((a, b) => b.created_at.localeCompare(a.created_at));
  return [
    h("h1", {}, "Deployments"),
    registering(reload),
    h("div", { class: "panel" }, table({
      Address: (each) => link(`#/deployments/${each.id}`, address(each)),
      Id: (each) => h("code", { class: "id" }, each.id),
      Services: (each) => each.services.map(({ name, revision }) => h("div", {}, link(`#/services/${encodeURIComponent(name)}`, name), ` r${revision}`)),
      SDK: (each) => each.sdk_version,
      Registered: (each) => when(each.created_at),
    }, listed, "No deployment is registered.")),
  ];
}

function registering(reload) {
  const uri = h("input", { type: "text", name: "uri", placeholder: "http://localhost:9080", required: true, "aria-label": "Address" });
  const force = h("input", { type: "checkbox", name: "force" });
  const submit = async () => {
    const body = uri.value.startsWith("arn:") ? { arn: uri.value } : { uri: uri.value };
    const done = await request("POST", "/deployments", { ...body, force: force.checked });
    for (const { message } of done.info ?? []) notice(message);
    notice(`Registered ${done.services.length} services at ${done.id}`);
    await reload();
  };
  return h("form", { class: "panel row", onsubmit: reporting(submit) }, uri, h("label", {}, force, " overwrite"), h("button", { class: "main" }, "Register"));
}

export async function deployment({ rest: [id], reload }) {
  const [shown, usage] = await Promise.all([get(`/deployments/${id}`), get(`/deployments/${id}/usage`)]);
  const remove = async () => {
    const held = usage.drained ? "" : " Something still holds it, and will fail.";
    if (!confirm(`Remove ${id}?${held}`)) return;
    await request("DELETE", `/deployments/${id}?force=${!usage.drained}`);
    location.hash = "#/deployments";
  };
  const counts = Object.entries(usage.invocations).map(([status, count]) => `${count} ${status}`).join(", ");
  return [
    h("h1", {}, address(shown), " ", tag(usage.drained ? "drained" : "in use")),
    h("div", { class: "row" }, button("Remove", remove, "danger"), button("Refresh", reload)),
    h("div", { class: "panel" }, facts({
      Id: h("code", {}, id),
      Protocol: `${shown.protocol_type ?? "Lambda"} ${shown.http_version ?? ""}, V${shown.min_protocol_version} to V${shown.max_protocol_version}`,
      SDK: shown.sdk_version,
      Registered: when(shown.created_at),
      Headers: shown.additional_headers && h("code", {}, JSON.stringify(shown.additional_headers)),
      Metadata: shown.metadata && h("code", {}, JSON.stringify(shown.metadata)),
      "Takes new calls of": usage.active_services.join(", "),
      "Unfinished invocations": counts || "none",
    })),
    h("h2", {}, "Services"),
    h("div", { class: "panel" }, table({
      Name: (each) => link(`#/services/${encodeURIComponent(each.name)}`, each.name),
      Type: (each) => each.ty,
      Revision: (each) => each.revision,
      Handlers: (each) => each.handlers.map(({ name }) => name).sort().join(", "),
    }, shown.services)),
  ];
}
