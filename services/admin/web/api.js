// Requests to the server that this page came from. A token, where one is wanted, is asked for once and kept until the tab closes.

const TOKEN = "perdure-token";

// Fetch, and say who does not answer instead of what browsers say then.
export async function reach(who, url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new Error(`${who} does not answer`);
  }
}

export async function request(method, path, body) {
  const headers = { accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await reach("The server", path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401 && hasNewToken(token)) return request(method, path, body);
  const text = await answer.text();
  if (!answer.ok) throw new Error(messageOf(text) || `${method} ${path}: status ${answer.status}`);
  return text ? JSON.parse(text) : null;
}

// Ask for a token after `refused`, unless another request has got one meanwhile.
function hasNewToken(refused) {
  if (sessionStorage.getItem(TOKEN) !== refused) return true;
  const given = prompt(refused ? "That is not this server's token. Its token:" : "This server wants its token");
  if (given) sessionStorage.setItem(TOKEN, given);
  return Boolean(given);
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
