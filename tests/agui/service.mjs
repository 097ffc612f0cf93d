// `ltm dev` on a free port, and what the tests write to it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "../..");
const binary = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/ltm");

export class Service {
  static async start(settings = {}, data = mkdtempSync(join(tmpdir(), "ltm-agui-")), address = "127.0.0.1:0") {
    const service = new Service();
    service.data = data;
    service.process = spawn(binary, ["dev", "--listen", address, "--data-dir", data], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, LTM__LOG__FORMAT: "json", LTM__GATEWAY__DRAIN_NOTICE: "0s", LTM__GATEWAY__DRAIN_TIME: "200ms", ...settings },
    });
    service.exited = once(service.process, "exit");
    // The lines that follow are read, too: they must not fill the pipe.
    const lines = createInterface({ input: service.process.stderr });
    service.url = await new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        if (line.includes('"message":"listening"')) resolve(`http://${JSON.parse(line).address}`);
      });
      lines.on("close", () => reject(new Error("ltm dev does not start")));
    });
    return service;
  }

  async drain() {
    this.process.kill("SIGTERM");
    await this.exited;
  }

  async stop() {
    if (this.process.exitCode === null) await this.drain();
    rmSync(this.data, { recursive: true, force: true });
  }

  async call(method, path, body) {
    const answer = await fetch(`${this.url}/api/v0${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const json = await answer.json();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
  }

  async create(state, more = {}) {
    return await this.call("POST", "/ltm", { fqn: "app.Agent", state, ...more });
  }

  async append(id, body) {
    return await this.call("POST", `/ltm/${id}/snapshots`, { reason: "execute", ...body });
  }

  async state(id) {
    return (await this.call("GET", `/ltm/${id}/state`)).state;
  }
}

/// A program that says on a line where it listens.
export async function program(command, args, env, address) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const said = [];
  const found = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        said.push(line);
        const url = address(line);
        if (url) resolve(url);
      });
    }
    child.on("exit", () => reject(new Error(`${command} ended: ${said.slice(-5).join("\n")}`)));
  });
  const stop = async (signal = "SIGTERM") => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  return { url: await found, stop };
}

/// A recorder of these agents: their classes, and where they are.
export const startRecorder = (service, agents, settings = {}) =>
  program(
    binary,
    ["agui", "--listen", "127.0.0.1:0", ...Object.entries(agents).flatMap(([fqn, url]) => ["--upstream", `${fqn}=${url}`])],
    { LTM_URL: service.url, LTM__LOG__FORMAT: "json", LTM__AGUI__LEASE: "1s", ...settings },
    (line) => line.includes('"message":"listening"') && `http://${JSON.parse(line).address}`,
  );

/// Resolves when an agent has what `seen` says. (It tells of changes only those that subscribed before the run.)
export async function until(agent, seen) {
  while (!seen(agent.state, agent.messages)) await new Promise((resolve) => setTimeout(resolve, 2));
}

/// Writes every kind of change, with the keys that patches and JavaScript find hard; then finishes.
export async function write(service, id) {
  await service.append(id, { merge: { n: 1, list: [1, 2, 3], "a/b": { "c~d": 1, "": 2 } }, item: { label: "plan" } });
  await service.append(id, { patch: [{ op: "move", from: "/list/0", path: "/list/2" }, { op: "copy", from: "/a~1b", path: "/copied" }] });
  await service.append(id, { merge: { "a/b": { "c~d": [null, true, 1.5, "ä\n"], "": null } } });
  await service.append(id, { state: { n: 2, __proto__x: 1, words: { constructor: { prototype: 1 }, ["__proto__"]: { polluted: true } } } });
  await service.append(id, { merge: { n: 3, big: "x".repeat(100_000) } });
  await service.call("POST", `/ltm/${id}/rollback`, { snapshot: { index: 1 } });
  await service.append(id, { merge: { after: "the rollback" } });
  await service.call("POST", `/ltm/${id}/rollback`, { rollback: { index: 0 } });
  await service.append(id, { patch: [{ op: "add", path: "/list", value: [] }, { op: "add", path: "/list/-", value: { k: 1 } }] });
  await service.call("POST", `/ltm/${id}/errors`, { id: "6f6c1d7e-4c53-4a6b-9e0e-0d3a8c1b2f4d" });
  await service.append(id, { merge: { _status: "finished" } });
}
