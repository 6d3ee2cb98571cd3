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

// Wrap a handler so that what fails is told to the user.
export function reporting(handler) {
  return async (event) => {
    try {
      await handler(event);
    } catch (error) {
      notice(error.message, "bad");
    }
  };
}

export function notice(text, kind = "") {
  const line = h("div", { class: kind }, text);
  document.getElementById("notice").append(line);
  setTimeout(() => line.remove(), 6000);
}

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
