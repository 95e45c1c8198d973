// A browser, and a person who signs in.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

export const WITHIN = { timeout: 30_000 };

/** Certificates are not checked: an installation's own is not known to anybody, and a page's workers ask by themselves. */
export function launch() {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--ignore-certificate-errors",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

export async function signIn(page, { url, user, password }) {
  await page.goto(url);
  await page.getByLabel("User name").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Prospects", level: 1, exact: true }).waitFor(WITHIN);
  await isLive(page);
  await page.locator("tr[data-prospect], .empty").first().waitFor(WITHIN);
}

export async function isLive(page, within = WITHIN) {
  await page.locator('[data-testid="connection"][data-phase="live"]').waitFor(within);
}
