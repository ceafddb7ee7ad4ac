// The whole story of a destination by a client that was generated from docs/openapi.json, against a fresh `auditrelay local`. What the document
// says is what the compiler checks here: paths, parameters, bodies, and what each answer holds.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { after, before, test as chapter } from "node:test";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "../../../build/client/api.js";

type Problem = components["schemas"]["Problem"];
type WorkspaceInput = components["schemas"]["WorkspaceInput"];
type DestinationInput = components["schemas"]["DestinationInput"];

let auditrelay: ChildProcess;
let address: string;
let api: Client<paths>;

// A receiver that answers what it is told to.
let receiver: Server;
let receiverURL: string;
let answers = 503;
const arrived: string[] = [];

before(async () => {
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      const log: { id: string } = JSON.parse(body);
      if (answers === 200) arrived.push(log.id);
      response.writeHead(answers).end();
    });
  });
  await new Promise<void>((done) => receiver.listen(0, "127.0.0.1", done));
  receiverURL = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/logs`;

  // A configuration of nothing: the story makes all by the API.
  auditrelay = spawn(process.env.AUDITRELAY!, ["local", "--listen", "127.0.0.1:0", "--speed", "0", "--quiet", "--config", "/dev/null"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: auditrelay.stdout! })) {
    const ready = line.match(/^ready (\S+)/);
    if (ready) {
      address = ready[1]!;
      break;
    }
  }
  api = createClient<paths>({ baseUrl: address });
});

after(() => {
  auditrelay?.kill();
  receiver?.close();
});

// test is a chapter of the story: it begins where the one before ended, so nothing is tried after a chapter that failed.
let failed = false;
function test(name: string, tell: () => Promise<void>) {
  chapter(name, async () => {
    assert.equal(failed, false, "an earlier chapter failed");
    failed = true;
    await tell();
    failed = false;
  });
}

// taken gives the answer's body, or fails with the problem's own sentence.
function taken<T>(answer: { data?: T; error?: Problem; response: Response }, status = 200): T {
  assert.equal(answer.response.status, status, answer.error?.detail);
  return answer.data!;
}

// refused gives the problem of an answer with that status.
function refused(answer: { error?: Problem; response: Response }, status: number): Problem {
  assert.equal(answer.response.status, status);
  assert.equal(answer.response.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.error!.status, status);
  assert.ok(answer.error!.detail.length > 0);
  return answer.error!;
}

async function advance(by: string) {
  const moved = await fetch(`${address}/clock/advance`, { method: "POST", body: JSON.stringify({ by }) });
  assert.equal(moved.status, 200, await moved.text());
}

async function ingest(...ids: string[]) {
  const lines = ids.map((id) =>
    JSON.stringify({ id, workspace_id: "acme", type: "user_activity", occurred_at: "2026-11-01T10:00:00Z", payload: { event: "login" } }),
  );
  const queued = await fetch(`${address}/ingest`, { method: "POST", body: lines.join("\n") });
  assert.equal(queued.status, 200, await queued.text());
}

const acme = { path: { id: "acme" } };
const siem = { path: { id: "siem" } };
const byDestination = { query: { destination_id: "siem" } };

test("a workspace is made, and made again", async () => {
  const body: WorkspaceInput = { kind: "standalone", name: "Acme", admins: ["ada@acme.example"] };
  const made = taken(await api.PUT("/v1/workspaces/{id}", { params: acme, body }), 201);
  assert.equal(made.id, "acme");
  assert.ok(made.external_id.length > 10);
  assert.deepEqual(taken(await api.PUT("/v1/workspaces/{id}", { params: acme, body })), made);
  assert.deepEqual(taken(await api.GET("/v1/workspaces/{id}", { params: acme })), made);
  assert.deepEqual(taken(await api.GET("/v1/workspaces", { params: { query: { limit: 10 } } })), { items: [made], next: null });
  refused(await api.PUT("/v1/workspaces/{id}", { params: { ...acme, header: { "If-None-Match": "*" } }, body }), 412);
});

const settings = () => ({ url: receiverURL });

test("a destination must take a test log", async () => {
  const body: DestinationInput = { workspace_id: "acme", kind: "http", settings: settings() };
  const why = refused(await api.PUT("/v1/destinations/{id}", { params: siem, body }), 422);
  assert.equal(why.code, "http.server_error");
  assert.ok(why.guidance);
  const made = taken(await api.PUT("/v1/destinations/{id}", { params: { ...siem, query: { verify: false } }, body }), 201);
  assert.deepEqual([made.state, made.health.state, made.settings], ["connected", "healthy", settings()]);
  const wrong = refused(await api.PUT("/v1/destinations/{id}", { params: siem, body: { ...body, settings: { url: "ftp://x" } } }), 422);
  assert.equal(wrong.errors?.[0]?.field, "body.settings.url");
});

test("two admins do not undo each other's changes", async () => {
  const read = await api.GET("/v1/destinations/{id}", { params: siem });
  const etag = read.response.headers.get("etag")!;
  const first = { params: { ...siem, header: { "If-Match": etag }, query: { verify: false } }, body: { name: "SIEM" } };
  assert.equal(taken(await api.PATCH("/v1/destinations/{id}", first)).name, "SIEM");
  refused(await api.PATCH("/v1/destinations/{id}", { ...first, body: { name: "Other" } }), 412);
  assert.equal(taken(await api.GET("/v1/destinations/{id}", { params: siem })).name, "SIEM");
});

test("logs wait for a destination that is down", async () => {
  await ingest("first", "second");
  await advance("10m");
  const destination = taken(await api.GET("/v1/destinations/{id}", { params: siem }));
  assert.deepEqual([destination.health.state, destination.health.code], ["failing", "http.server_error"]);
  const backlog = taken(await api.GET("/v1/destinations/{id}/backlog", { params: siem }));
  // Two logs, and the entries of the activity audit for what was done above.
  assert.ok(backlog.count >= 2 && !backlog.more && backlog.first_expires_at !== null, JSON.stringify(backlog));
  const waiting: string[] = [];
  let next: string | null = null;
  do {
    const page: components["schemas"]["PendingPage"] = taken(
      await api.GET("/v1/deliveries", { params: { query: { destination_id: "siem", limit: 1, ...(next === null ? {} : { next }) } } }),
    );
    waiting.push(...page.items.map((delivery) => delivery.log_id));
    next = page.next;
  } while (next !== null);
  assert.equal(waiting.length, backlog.count);
  assert.ok(waiting.includes("first") && waiting.includes("second"));
  const attempts = taken(await api.GET("/v1/attempts", { params: { query: { log_id: "first" } } }));
  assert.ok(attempts.complete && attempts.items.some((attempt) => attempt.code === "http.server_error"));
});

test("it recovers, and what waits is tried at once", async () => {
  const tried = taken(await api.POST("/v1/destinations/{id}/test", { params: siem }));
  assert.deepEqual([tried.ok, tried.code], [false, "http.server_error"]);
  answers = 200;
  const works = taken(await api.POST("/v1/destinations/{id}/test", { params: siem }));
  assert.deepEqual([works.ok, works.code], [true, ""]);
  const redriven = taken(await api.POST("/v1/redrive", { body: { destination_id: "siem" } }));
  assert.equal(redriven.next, null);
  await advance("1h");
  assert.ok(arrived.includes("first") && arrived.includes("second") && arrived.includes(works.log_id), arrived.join());
  assert.equal(taken(await api.GET("/v1/destinations/{id}", { params: siem })).health.state, "healthy");
  assert.equal(taken(await api.GET("/v1/destinations/{id}/backlog", { params: siem })).count, 0);
  refused(await api.POST("/v1/redrive", { body: {} }), 422);
});

test("it is disconnected, disabled after eight hours, and connected again", async () => {
  assert.equal(taken(await api.POST("/v1/destinations/{id}/disconnect", { params: siem })).state, "disconnected");
  await ingest("third");
  await advance("9h");
  assert.equal(taken(await api.GET("/v1/destinations/{id}", { params: siem })).state, "disabled");
  assert.ok(!arrived.includes("third"));
  refused(await api.POST("/v1/destinations/{id}/disconnect", { params: siem }), 409);
  assert.equal(taken(await api.POST("/v1/destinations/{id}/reconnect", { params: siem, body: { verify: true } })).state, "connected");
  await advance("1h");
  assert.ok(arrived.includes("third"));
});

test("a log that nobody took for seven days is a failed event", async () => {
  answers = 403;
  await ingest("lost");
  await advance("8d");
  const lost = taken(await api.GET("/v1/failed", { params: byDestination })).items.find((event) => event.log_id === "lost");
  assert.deepEqual([lost?.code, lost?.type, lost?.workspace_id], ["http.forbidden", "user_activity", "acme"]);
});

test("what is deleted is not there", async () => {
  refused(await api.DELETE("/v1/workspaces/{id}", { params: acme }), 409);
  assert.equal((await api.DELETE("/v1/destinations/{id}", { params: siem })).response.status, 204);
  assert.equal(taken(await api.GET("/v1/destinations/{id}", { params: siem })).state, "deleted");
  refused(await api.DELETE("/v1/workspaces/{id}", { params: acme }), 409);
  assert.equal(taken(await api.POST("/v1/destinations/{id}/restore", { params: { ...siem, query: { verify: false } } })).state, "connected");
  assert.equal((await api.DELETE("/v1/destinations/{id}", { params: siem })).response.status, 204);
  assert.equal((await api.DELETE("/v1/destinations/{id}", { params: { ...siem, query: { purge: true } } })).response.status, 204);
  refused(await api.GET("/v1/destinations/{id}", { params: siem }), 404);
  assert.deepEqual(taken(await api.GET("/v1/destinations", {})).items, []);
  assert.equal((await api.DELETE("/v1/workspaces/{id}", { params: acme })).response.status, 204);
  refused(await api.GET("/v1/workspaces/{id}", { params: acme }), 404);
});
