// Takes the pictures of the console that the documentation shows, into the folder that is named on the command line: a destination that failed for
// some hours and has recovered, another one that still fails. Then records what they were taken of, in console.sha256, so that a test can tell when they
// are stale; `sha256sum -c docs/images/console.sha256` reads it too.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open, play } from "./stage.mjs";

const folder = process.argv[2];
const { page, address, close } = await open();
const { button, told, card, fault, advance, reads } = play(page);
const shoot = (name) => page.screenshot({ path: join(folder, `${name}.png`) });

try {
  await page.setViewportSize({ width: 1280, height: 1060 });
  await page.goto(address);
  const send = async (name = "Send the example logs") => {
    const answered = page.waitForResponse("**/console/examples");
    await button(name).click();
    await answered;
    await told("sent to the ingest queue");
  };
  for (let i = 0; i < 4; i++) {
    await send(i % 2 ? "Send the example logs" : "100 times");
    await advance("15 min");
  }
  await fault("Acme SIEM", "503 Unavailable").click();
  await told("now answers: 503");
  for (let i = 0; i < 4; i++) {
    await send();
    await advance("1 h");
  }
  await fault("Acme SIEM", "200 OK").click();
  await told("now answers: 200");
  await advance("1 h");
  await fault("Acme archive", "403 Forbidden").click();
  await told("now answers: 403");
  await send("100 times");
  await advance("1 h");
  await reads(card("Acme archive").locator(".badge"), "failing");
  await page.goto(address); // as it stands now, without waiting for the page to fetch itself
  await shoot("console");
  await card("Acme SIEM").getByRole("link", { name: "Acme SIEM" }).click();
  await page.locator("#attempts-chart").scrollIntoViewIfNeeded();
  await page.locator("#attempts-chart").screenshot({ path: join(folder, "console-attempts.png") });
  await page.goto(`${address}/destinations/archive`);
  await page.locator("#waiting tbody tr").first().getByRole("link").click();
  await page.locator(".life").waitFor();
  await shoot("console-log");
  await page.goto(`${address}/mailbox`);
  await page.frameLocator("iframe").getByText("http.forbidden").first().waitFor();
  await shoot("console-mailbox");
} finally {
  await close();
}

const inside = (path) => readdirSync(path).map((name) => join(path, name));
const files = [
  ...inside("internal/local/console/templates"), ...inside("internal/local/console/assets"),
  "internal/local/browser/pictures.mjs", "internal/local/browser/stage.mjs",
  ...inside(folder).filter((name) => /console[^/]*\.png$/.test(name)),
].sort();
const sum = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
writeFileSync(join(folder, "console.sha256"), files.map((path) => `${sum(path)}  ${path}\n`).join(""));
