// The console's story by clicks, in headless Chromium against a fresh `auditrelay local`: break, see it fail and the mail, advance, mend, see the
// backlog follow; disconnect, eight hours, disabled, reconnect. On the way every page is checked by axe-core, and pictures are taken.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test as chapter } from "node:test";
import { looks, open, play } from "./stage.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.PICTURES ?? mkdtempSync(join(tmpdir(), "pictures-"));

let stage, page, button, told, card, figure, reads, fault, advance;
const complaints = [];

before(async () => {
  mkdirSync(pictures, { recursive: true });
  stage = await open();
  page = stage.page;
  ({ button, told, card, figure, reads, fault, advance } = play(page));
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && complaints.push(`${m.type()}: ${m.text()}`));
  page.on("pageerror", (e) => complaints.push(`error: ${e.message}`));
  page.on("request", (r) => new URL(r.url()).origin === stage.address || complaints.push(`request to elsewhere: ${r.url()}`));
  await page.goto(stage.address);
});

after(() => stage?.close());

// test is a chapter of the story: it begins where the one before ended, so nothing is tried after a chapter that failed.
let failed = false;
function test(name, tell) {
  chapter(name, async () => {
    assert.equal(failed, false, "an earlier chapter failed");
    failed = true;
    await tell();
    failed = false;
  });
}

// seen checks the page as it is, and takes its picture in every look.
async function seen(name) {
  for (const [look, { colorScheme, viewport }] of Object.entries(looks)) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.evaluate(() => scrollTo(0, 0));
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wider, 0, `${name}, ${look}: the page is ${wider} pixels wider than the window`);
    await page.screenshot({ path: join(pictures, `${name}-${look}.png`), fullPage: true });
    assert.deepEqual(await violations(), [], `${name}, ${look}`);
  }
  await page.emulateMedia({ colorScheme: looks.light.colorScheme });
  await page.setViewportSize(looks.light.viewport);
}

// violations asks axe-core, which the page's own policy would not let in, so it is evaluated by the browser's debugger.
async function violations() {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { iframes: false });
    return result.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
  });
}

test("an empty console says what to do", async () => {
  await reads(page.locator("#logs"), "No log has come in yet");
  assert.equal(await button("to the next event").isDisabled(), true);
  await seen("empty");
  await page.getByRole("link", { name: /^Mailbox/ }).click();
  await reads(page.locator("#mails"), "No mail was sent yet");
  await page.getByRole("link", { name: "Overview" }).click();
});

test("example logs are delivered without a reload", async () => {
  await button("Send the example logs").click();
  await told("logs sent to the ingest queue");
  await reads(page.locator("#ledger .delivered"), /[1-9]/);
  await reads(card("Acme SIEM"), "Logs get through");
  await reads(figure(card("Acme SIEM"), "Pending"), /^0$/);
});

test("a log from elsewhere shows by itself", async () => {
  const log = { id: "from-elsewhere", workspace_id: "acme", type: "user_activity", occurred_at: "2026-11-02T09:00:04Z", payload: { event: "login" } };
  const answer = await fetch(`${stage.address}/ingest`, { method: "POST", body: JSON.stringify(log) });
  assert.equal(answer.status, 200);
  await reads(page.locator("#logs"), "from-elsewhere");
});

test("each answer of a receiver is what its destination meets", async () => {
  await card("Acme SIEM").getByRole("link", { name: "Acme SIEM" }).click();
  for (const [answer, outcome] of Object.entries({
    "401 Unauthorized": "not taken: 401 Unauthorized.", "403 Forbidden": "not taken: 403 Forbidden.", "404 Not Found": "not taken: 404 Destination Not Found.",
    "503 Unavailable": /not taken: .*(503|5xx)/, Hang: "not taken: Timeout.", Reset: "not taken: Connection reset.",
    Slow: /took a test log in 3\d\d\d ms/, "200 OK": /took a test log in \d{1,3} ms/,
  })) {
    await fault("Acme SIEM", answer).click();
    await told(`now answers: ${answer}`);
    await page.getByRole("button", { pressed: true, name: answer }).waitFor();
    await button("Send a test log").click();
    await told(outcome);
  }
  await page.getByRole("link", { name: "Overview" }).first().click();
});

test("a broken receiver makes its destination fail, and the admin gets a mail", async () => {
  await fault("Acme SIEM", "401 Unauthorized").click();
  await told("The receiver of Acme SIEM now answers: 401 Unauthorized.");
  await page.getByRole("group", { name: "The receiver of Acme SIEM answers" }).getByRole("button", { pressed: true, name: "401 Unauthorized" }).waitFor();
  await button("Send the example logs").click();
  await reads(card("Acme SIEM"), "401 Unauthorized since");
  await reads(card("Acme SIEM").locator(".badge"), "failing");
  await reads(card("Acme archive").locator(".badge"), "healthy");
  await reads(page.locator("#nav"), "Mailbox 1");
  await advance("1 h");
  await seen("overview");

  await page.getByRole("link", { name: /^Mailbox/ }).click();
  await reads(page.locator("#mail"), "ada@acme.example");
  const body = page.frameLocator("iframe");
  await body.getByText("http.unauthorized").first().waitFor();
  assert.equal(await page.locator("iframe").getAttribute("sandbox"), "");
  await seen("mailbox");
});

test("one log tells its life", async () => {
  await page.getByRole("link", { name: "Overview" }).click();
  await card("Acme SIEM").getByRole("link", { name: "Acme SIEM" }).click();
  await page.locator("#waiting tbody tr").first().getByRole("link").click();
  await reads(page.locator(".life"), "Attempt 1 failed: 401 Unauthorized");
  await reads(page.locator(".life .next"), /Next attempt|held back/);
  await reads(page.locator("#document"), "As it waits in the cache");
  await seen("log");
});

test("once the receiver is mended, the backlog follows", async () => {
  await page.getByRole("link", { name: "Acme SIEM", exact: true }).click();
  await reads(page.locator("#state .badge"), "failing");
  await seen("destination-failing");
  await fault("Acme SIEM", "200 OK").click();
  await told("now answers: 200 OK");
  await page.locator("#advance-next").click();
  await told("The clock moved on by");
  await advance("1 h");
  await advance("1 h");
  await reads(page.locator("#state .badge"), "healthy");
  await reads(figure(page.locator("#state"), "Pending"), /^0$/);
  await page.getByText("The same as a table").click();
  await reads(page.locator("#chart-table"), "http.unauthorized");
  await seen("destination");
});

test("disconnect, eight hours, disabled, reconnect", async () => {
  await button("Disconnect").click();
  await told("Disconnected. Logs wait");
  await reads(page.locator("#state .badge"), "disconnected");
  await page.getByRole("link", { name: "Overview" }).first().click();
  await button("Send the example logs").click();
  await reads(figure(card("Acme SIEM"), "Pending"), /^[1-9]\d*$/);
  await reads(figure(card("Acme SIEM"), "Next attempt"), "after a reconnect");
  await advance("8 h");
  await reads(card("Acme SIEM").locator(".badge"), "disabled");
  await reads(page.locator("#nav"), "Mailbox 3");
  await card("Acme SIEM").getByRole("link", { name: "Acme SIEM" }).click();
  await seen("destination-disabled");
  await button("Reconnect").click();
  await told("Reconnected. The backlog is sent at once.");
  await advance("1 min");
  await advance("1 min");
  await reads(page.locator("#state .badge"), "healthy");
  await reads(figure(page.locator("#state"), "Pending"), /^0$/);
  await button("Send a test log").click();
  await told("The destination took a test log");
});

test("ten thousand logs leave the page quick, and all works by keyboard", async () => {
  await page.getByRole("link", { name: "Overview" }).first().click();
  const send = button("1,000 times");
  await send.focus();
  await page.keyboard.press("Enter");
  await told("sent to the ingest queue");
  await page.waitForFunction(() => document.querySelector("#ledger .pending dd").textContent === "0" && document.querySelector("#ledger .delivered dd").textContent.length > 5, null, { timeout: 120_000 });
  assert.equal(await send.evaluate((b) => b === document.activeElement), true, "the focus stays");
  const started = performance.now();
  await page.reload();
  await page.locator("#ledger").waitFor();
  const took = performance.now() - started;
  assert.ok(took < 1500, `the page took ${took} ms to load`);
  await page.getByRole("searchbox").fill("no such log");
  await page.keyboard.press("Enter");
  await reads(page.locator("main"), "No log with the id no such log");
  complaints.splice(0, complaints.length, ...complaints.filter((c) => !c.includes("404"))); // the browser notes the page that is not there
});

test("nothing was complained of in the browser's console", () => {
  assert.deepEqual(complaints, []);
});
