// Elements without a framework, and the few that every page uses.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

export const button = (label, onclick, kind = "") => h("button", { type: "button", class: kind, onclick: reporting(onclick) }, label);

const NOTICES_MAX = 4;
const NOTICE_MS = 6000;

// Wrap a handler so that what fails is told to the user, and that a second click does not do it twice.
export function reporting(handler) {
  let isRunning = false;
  return async (event) => {
    event.preventDefault();
    if (isRunning) return;
    isRunning = true;
    forgetFailures();
    try {
      await handler(event);
    } catch (error) {
      notice(error.message, "bad");
    } finally {
      isRunning = false;
    }
  };
}

// Show a line for some seconds; a failure stays until it is dismissed, or something else is done.
export function notice(text, kind = "") {
  const dismiss = h("button", { type: "button", "aria-label": "Dismiss", onclick: () => line.remove() }, "×");
  const line = h("div", { class: kind }, h("span", {}, text), dismiss);
  const all = document.getElementById("notice");
  all.append(line);
  while (all.childElementCount > NOTICES_MAX) all.firstElementChild.remove();
  if (kind !== "bad") setTimeout(() => line.remove(), NOTICE_MS);
}

export const forgetFailures = () => document.querySelectorAll("#notice .bad").forEach((line) => line.remove());

export function table(columns, rows, empty = "Nothing here.") {
  if (!rows.length) return h("p", { class: "muted" }, empty);
  const head = h("tr", {}, Object.keys(columns).map((name) => h("th", {}, name)));
  const line = (row) => h("tr", {}, Object.values(columns).map((cell) => h("td", {}, cell(row) ?? "")));
  return h("table", {}, h("thead", {}, head), h("tbody", {}, rows.map(line)));
}

export const facts = (pairs) =>
  h("dl", {}, Object.entries(pairs).filter(([, value]) => value != null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

const KINDS = {
  completed: "good", success: "good", failure: "bad", running: "busy", ready: "busy", "backing-off": "bad",
  suspended: "wait", paused: "bad", pending: "wait", scheduled: "wait", drained: "good", "in use": "busy", private: "wait", public: "good",
};

export const tag = (text) => h("span", { class: `tag ${KINDS[text] ?? "muted"}` }, text);

export const when = (text) => (text ? h("time", { title: text }, new Date(text).toLocaleString()) : null);

export const link = (href, text) => h("a", { href }, text);

// A link to what is known by its id.
export const idLink = (kind, id) => h("a", { href: `#/${kind}/${id}`, class: "id" }, id);
