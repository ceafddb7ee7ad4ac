// A fresh `auditrelay local` and a headless Chromium before it, for the story and for the pictures of the documentation.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

// The conditions that every page is seen under.
export const looks = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 } },
};

// open starts both and answers with the page, the address, and close. The program is named by AUDITRELAY, the browser by CHROMIUM.
export async function open() {
  const server = spawn(process.env.AUDITRELAY, ["local", "--listen", "127.0.0.1:0", "--speed", "0", "--quiet"], { stdio: ["ignore", "pipe", "inherit"] });
  let address;
  for await (const line of createInterface({ input: server.stdout })) {
    address = line.match(/^ready (\S+)/)?.[1];
    if (address) break;
  }
  const profile = mkdtempSync(join(tmpdir(), "chromium-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    ...looks.light,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.setDefaultTimeout(30_000);
  return {
    address,
    page,
    async close() {
      await browser.close();
      server.kill();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

// play gives what a reader of the page finds and does there.
export function play(page) {
  const button = (name) => page.getByRole("button", { name, exact: true });
  const told = (text) => page.locator("#told").filter({ hasText: text }).waitFor();
  return {
    button,
    told,
    card: (name) => page.getByRole("article").filter({ has: page.getByRole("heading", { name }) }),
    figure: (within, name) => within.locator("dl > div").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd"),
    reads: (locator, text) => locator.filter({ hasText: text }).first().waitFor(),
    fault: (receiver, answer) => page.getByRole("group", { name: `The receiver of ${receiver} answers` }).getByRole("button", { name: answer }),
    async advance(by) {
      const answered = page.waitForResponse("**/console/advance", { timeout: 120_000 });
      await button(by).click();
      await answered;
      await page.locator("body:not([aria-busy])").waitFor();
      await told("The clock moved on by");
    },
  };
}
