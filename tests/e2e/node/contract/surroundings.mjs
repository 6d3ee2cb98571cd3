// What the test gives to this process: a prefix of all names, and a file for effects that can be counted.
import fs from "node:fs";

export const PREFIX = process.env.SERVICE_PREFIX ?? "";
export const FAST_RETRIES = { initialInterval: 10, exponentiationFactor: 1 };
const effects = process.env.EFFECTS_FILE ? fs.openSync(process.env.EFFECTS_FILE, "a") : null;

export const effect = (tag, what) => {
  if (effects !== null) fs.writeSync(effects, `${tag} ${what}\n`);
};

// A count for each invocation or tag, in this process only.
export class Counts {
  #counts = new Map();

  increase(of) {
    this.#counts.set(of, this.of(of) + 1);
    return this.of(of);
  }

  of(key) {
    return this.#counts.get(key) ?? 0;
  }
}
