// Lowers the version of the protocol that discovery offers to PROTOCOL_VERSION_MAX, so that a current SDK speaks an older one.
const OFFERED = '"maxProtocolVersion":7';
const WANTED = `"maxProtocolVersion":${process.env.PROTOCOL_VERSION_MAX ?? 7}`;
const rewritten = (chunk) => (chunk instanceof Uint8Array ? Buffer.from(chunk).toString().replace(OFFERED, WANTED) : chunk);

// The handler with another number in its manifest; as long as the one before, so that all lengths stay true.
export const capped = (handler) => (request, response) => {
  if (request.url.endsWith("/discover")) {
    for (const method of ["write", "end"]) {
      const original = response[method].bind(response);
      response[method] = (chunk, ...rest) => original(rewritten(chunk), ...rest);
    }
  }
  return handler(request, response);
};
