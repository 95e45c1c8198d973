// Two people in two windows: what one does, the other sees, by the WebSocket alone.
//
//   EVENTS_TEST_URL, EVENTS_TEST_USER, EVENTS_TEST_PASSWORD   a running installation and who signs in
//   EVENTS_TEST_SCREENSHOTS                                   a folder for pictures; none are taken without it
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, signIn, WITHIN } from "./kit.mjs";

const URL_UNDER_TEST = needed("EVENTS_TEST_URL");
const USER = needed("EVENTS_TEST_USER");
const PASSWORD = needed("EVENTS_TEST_PASSWORD");
const SCREENSHOTS = process.env.EVENTS_TEST_SCREENSHOTS;

const run = Date.now().toString(36);
const person = { firstName: "Edith", lastName: `Clarke ${run}`, email: `edith.${run}@example.org`, phone: "+1 555 010 9999" };
const renamed = `Clarke-Noether ${run} of a name that is longer than the row of a list on a phone`;

let browser;
let one;
let two;

before(async () => {
  if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await launch();
  one = await openWindow("light");
  two = await openWindow("dark");
});

after(async () => {
  await browser?.close();
});

test("signing in with a wrong password says so", WITHIN_MS(30), async () => {
  const { page } = one;
  await page.goto(URL_UNDER_TEST);
  await picture(one, "sign-in");
  await page.getByLabel("User name").fill(USER);
  await page.getByLabel("Password").fill(`not ${PASSWORD}`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("User name or password is not right.").waitFor(WITHIN);
});

test("two windows sign in, see the list and are live", WITHIN_MS(60), async () => {
  for (const { page } of [one, two]) await signIn(page, { url: URL_UNDER_TEST, user: USER, password: PASSWORD });
  await picture(one, "list");
  await picture(two, "list");
});

test("a validation error stands beside its field, and nothing is sent", WITHIN_MS(30), async () => {
  const { page, requests } = one;
  const sent = count(requests, "POST", "/api/prospects");
  await page.getByRole("button", { name: "New prospect" }).click();
  await fill(page, { firstName: "Edith", email: "nope" });
  await page.getByRole("button", { name: "Add prospect" }).click();
  await faultOf(page, "email", /e-mail address/);
  await faultOf(page, "lastName", /required/);
  await picture(one, "validation");
  assert.equal(count(requests, "POST", "/api/prospects"), sent);
});

test("window 1 creates a prospect; window 2 shows it by itself", WITHIN_MS(60), async () => {
  const before = mark(two);
  await fill(one.page, person);
  await one.page.getByRole("button", { name: "Add prospect" }).click();
  await rowWith(two.page, person.lastName);
  await rowWith(one.page, person.lastName);
  await one.page.getByRole("dialog").waitFor({ state: "detached", ...WITHIN });
  await picture(two, "arrived");
  assertUntouched(two, before);
});

test("window 2 edits it; window 1 changes by itself", WITHIN_MS(60), async () => {
  const before = mark(one);
  await two.page.getByRole("button", { name: new RegExp(escapeRegExp(person.lastName)) }).click();
  await two.page.getByRole("dialog").waitFor(WITHIN);
  await picture(two, "edit");
  await fill(two.page, { lastName: renamed });
  await two.page.getByRole("button", { name: "Save changes" }).click();
  await rowWith(one.page, renamed);
  await two.page.getByRole("dialog").waitFor({ state: "detached", ...WITHIN });
  await rowWith(two.page, renamed);
  await picture(one, "changed");
  assertUntouched(one, before);
});

test("an e-mail address that is taken is reported beside the e-mail field", WITHIN_MS(60), async () => {
  const { page } = two;
  await page.getByRole("button", { name: "New prospect" }).click();
  await fill(page, { firstName: "Emmy", lastName: `Noether ${run}`, email: person.email.toUpperCase() });
  await page.getByRole("button", { name: "Add prospect" }).click();
  await faultOf(page, "email", /already has this e-mail/);
  await picture(two, "duplicate");
  await page.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await rows(page, `Noether ${run}`).count(), 1); // only the renamed one
});

test("window 1 merges two prospects by the form of the command; the row that goes leaves window 2 by itself", WITHIN_MS(60), async () => {
  const { page } = one;
  await page.getByRole("button", { name: "New prospect" }).click();
  await fill(page, { firstName: "Edith", lastName: `Double ${run}`, email: `double.${run}@example.org` });
  await page.getByRole("button", { name: "Add prospect" }).click();
  await rowWith(two.page, `Double ${run}`);
  const before = mark(two);
  const [stays, goes] = [await idOf(two.page, renamed), await idOf(two.page, `Double ${run}`)];
  await page.getByRole("dialog").waitFor({ state: "detached", ...WITHIN });
  await page.getByRole("button", { name: "New command" }).click();
  await page.getByLabel("Command", { exact: true }).selectOption({ label: "Merge prospects" });
  await fill(page, { prospectId: stays, mergedProspectId: stays });
  await page.getByRole("button", { name: "Merge prospects" }).click();
  await faultOf(page, "mergedProspectId", /merged into itself/);
  await picture(one, "command");
  await fill(page, { mergedProspectId: goes });
  await page.getByRole("button", { name: "Merge prospects" }).click();
  await rows(two.page, `Double ${run}`).waitFor({ state: "detached", ...WITHIN });
  await page.getByRole("dialog").waitFor({ state: "detached", ...WITHIN });
  await rows(page, `Double ${run}`).waitFor({ state: "detached", ...WITHIN });
  await rowWith(two.page, renamed);
  await two.page.getByLabel("Latest events").getByText(`merged into ${stays}`).waitFor(WITHIN);
  await picture(two, "merged");
  assertUntouched(two, before);
});

test("the activity panel shows what happened, and the search finds it", WITHIN_MS(60), async () => {
  const { page } = one;
  await page.getByLabel("Latest events").getByText(`Edith ${renamed}`).first().waitFor(WITHIN);
  await page.getByLabel("Search prospects").fill(run);
  await rowWith(page, renamed);
  await page.getByText("1 found").waitFor(WITHIN);
  await picture(one, "search");
});

test("by keyboard alone: Enter opens a row, Escape closes it, and the focus is where it was", WITHIN_MS(30), async () => {
  const { page } = one;
  const row = page.getByRole("button", { name: new RegExp(escapeRegExp(renamed)) });
  await row.focus();
  await page.keyboard.press("Enter");
  await page.locator('dialog [name="firstName"]:focus').waitFor(WITHIN);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached", ...WITHIN });
  assert.ok(await row.evaluate((element) => element === document.activeElement));
});

test("on a phone nothing stands outside the window", WITHIN_MS(30), async () => {
  const { page } = one;
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByLabel("Search prospects").fill("");
  await rowWith(page, renamed);
  await picture(one, "phone");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await page.getByRole("button", { name: "New prospect" }).click();
  const [cancel, add] = [await heightOf(page, "Cancel"), await heightOf(page, "Add prospect")];
  await picture(one, "phone-form");
  assert.equal(cancel, add, "the two buttons stand side by side");
});

test("no page reported an error, and nothing broke the content policy", () => {
  assert.deepEqual([...one.errors, ...two.errors], []);
});

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function WITHIN_MS(seconds) {
  return { timeout: seconds * 1000 };
}

/** A window of its own: another browser context shares nothing with the first, as another person's machine would not. */
async function openWindow(colorScheme) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    colorScheme,
    viewport: { width: 1360, height: 860 },
  });
  const page = await context.newPage();
  const view = { colorScheme, page, requests: [], navigations: 0, errors: [] };
  page.on("request", (request) => view.requests.push({ method: request.method(), path: new URL(request.url()).pathname }));
  page.on("framenavigated", () => (view.navigations += 1));
  page.on("pageerror", (error) => view.errors.push(error.message));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) view.errors.push(message.text());
  });
  return view;
}

async function fill(page, values) {
  for (const [name, value] of Object.entries(values)) await page.locator(`dialog [name="${name}"]`).fill(value);
}

async function faultOf(page, name, pattern) {
  const field = page.locator(".field", { has: page.locator(`[name="${name}"]`) });
  await field.locator(".field-fault", { hasText: pattern }).waitFor(WITHIN);
  assert.equal(await field.locator(`[name="${name}"]`).getAttribute("aria-invalid"), "true");
}

function rows(page, text) {
  return page.locator("tr[data-prospect]", { hasText: text });
}

async function rowWith(page, text) {
  await rows(page, text).first().waitFor(WITHIN);
}

async function heightOf(page, button) {
  return (await page.getByRole("dialog").getByRole("button", { name: button, exact: true }).boundingBox()).y;
}

async function idOf(page, text) {
  return rows(page, text).first().getAttribute("data-prospect");
}

function count(requests, method, path) {
  return requests.filter((request) => request.method === method && request.path === path).length;
}

function mark(view) {
  return { navigations: view.navigations, lists: count(view.requests, "GET", "/api/prospects") };
}

/** No reload and no list request since `before`: what the window shows came by its WebSocket. */
function assertUntouched(view, before) {
  assert.deepEqual(mark(view), before);
}

async function picture({ page, colorScheme }, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}-${colorScheme}.png`) });
}

function escapeRegExp(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
