// Which page is shown: the part of the address after the hash.

import { get } from "./api.js";
import { button, forgetFailures, h, link, notice } from "./dom.js";
import { deployment, deployments } from "./deployments.js";
import { invocation, invocations } from "./invocations.js";
import { service, services } from "./services.js";
import { sql } from "./sql.js";
import { state } from "./state.js";

const PAGES = { invocations, services, deployments, state, sql };
const TITLES = { invocations: "Invocations", services: "Services", deployments: "Deployments", state: "State", sql: "SQL" };
const DETAILS = { invocations: invocation, services: service, deployments: deployment };

const WAIT_MS = 300; // a page that takes longer says so, instead of what was there before

let latest = 0;
let waiting;

async function show({ isReload = false } = {}) {
  const turn = ++latest; // a page that took longer than its successor is not shown any more
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/").map(decoded);
  const current = Object.hasOwn(PAGES, name) ? name : "invocations";
  const page = rest.length && DETAILS[current] ? DETAILS[current] : PAGES[current];
  document.getElementById("nav").replaceChildren(
    ...Object.keys(PAGES).map((each) => {
      const entry = link(`#/${each}`, TITLES[each]);
      if (each === current) entry.setAttribute("aria-current", "page");
      return entry;
    }),
  );
  const main = document.getElementById("main");
  main.setAttribute("aria-busy", "true");
  clearTimeout(waiting);
  if (!isReload) waiting = setTimeout(() => main.replaceChildren(h("p", { class: "muted" }, "Loading …")), WAIT_MS);
  const reload = () => show({ isReload: true });
  let shown;
  try {
    shown = await page({ rest, search: new URLSearchParams(search), reload });
  } catch (error) {
    shown = [h("h1", {}, "This page could not be shown"), h("pre", { class: "bad" }, error.message), button("Try again", reload, "main")];
  }
  if (turn !== latest) return;
  clearTimeout(waiting);
  const opened = isReload ? [...main.querySelectorAll("details[open]")].map(({ id }) => id) : [];
  main.replaceChildren(...shown);
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  main.removeAttribute("aria-busy");
  document.title = `${main.querySelector("h1").textContent} · Perdure`;
  if (turn > 1 && (!isReload || document.activeElement === document.body)) main.focus({ preventScroll: true });
  if (!isReload) scrollTo(0, 0);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

window.addEventListener("hashchange", () => {
  forgetFailures();
  show();
});
show();
get("/version").then(
  ({ ingress_endpoint }) => document.getElementById("server").replaceChildren(ingress_endpoint ?? "no ingress"),
  (error) => notice(error.message, "bad"),
);
