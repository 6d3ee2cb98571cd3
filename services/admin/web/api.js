// Requests to the server that this page came from. A token, where one is wanted, is asked for once and kept until the tab closes.

const TOKEN = "perdure-token";

export async function request(method, path, body) {
  const headers = { accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) {
    const given = prompt("This server wants its token");
    if (given) {
      sessionStorage.setItem(TOKEN, given);
      return request(method, path, body);
    }
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(messageOf(text) || `${method} ${path}: status ${answer.status}`);
  return text ? JSON.parse(text) : null;
}

function messageOf(text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return text;
  }
}

export const get = (path) => request("GET", path);

export const query = async (sql) => (await request("POST", "/query", { query: sql })).rows;

// A text as a literal of SQL.
export const quoted = (text) => `'${text.replaceAll("'", "''")}'`;
