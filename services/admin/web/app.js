// Which page is shown: the part of the address after the hash.

import { get } from "./api.js";
import { h, link, notice } from "./dom.js";
import { deployment, deployments } from "./deployments.js";
import { invocation, invocations } from "./invocations.js";
import { service, services } from "./services.js";
import { sql } from "./sql.js";
import { state } from "./state.js";

const PAGES = { invocations, services, deployments, state, sql };
const TITLES = { invocations: "Invocations", services: "Services", deployments: "Deployments", state: "State", sql: "SQL" };
const DETAILS = { invocations: invocation, services: service, deployments: deployment };

let latest = 0;

async function show() {
  const turn = ++latest; // a page that took longer than its successor is not shown any more
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/").map(decodeURIComponent);
  const current = PAGES[name] ? name : "invocations";
  const page = rest.length && DETAILS[current] ? DETAILS[current] : PAGES[current];
  document.getElementById("nav").replaceChildren(
    ...Object.keys(PAGES).map((each) => {
      const entry = link(`#/${each}`, TITLES[each]);
      if (each === current) entry.className = "here";
      return entry;
    }),
  );
  const main = document.getElementById("main");
  main.setAttribute("aria-busy", "true");
  let shown;
  try {
    shown = await page({ rest, search: new URLSearchParams(search), reload: show });
  } catch (error) {
    shown = [h("h1", {}, "This page could not be shown"), h("pre", { class: "bad" }, error.message)];
  }
  if (turn !== latest) return;
  main.replaceChildren(...shown);
  main.removeAttribute("aria-busy");
}

window.addEventListener("hashchange", show);
show();
get("/version").then(
  ({ ingress_endpoint }) => document.getElementById("server").replaceChildren(ingress_endpoint ?? "no ingress"),
  (error) => notice(error.message, "bad"),
);
