// The tabs of one browser, on an installation of its own whose programs can be killed and stopped:
//   one connection for all tabs of a user, which goes on when a tab closes and when the gateway dies,
//   and no list that goes back to an older version while the read model is seconds behind the events.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { call, Client } from "../e2e/kit/client.mjs";
import { Installation, ROOT } from "../e2e/kit/installation.mjs";
import { eventually, sleep } from "../e2e/kit/wait.mjs";
import { isLive, launch, signIn, WITHIN } from "./kit.mjs";

const it = {};

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_WEB_ROOT: path.join(ROOT, "web/dist") } });
  it.demo = await Client.demo(it.installation);
  it.url = it.installation.plainUrl;
  it.browser = await launch();
  await it.installation.ctlWith({ input: "another-password\n" }, "user", "add", "other", "--tenant", "demo", "--scopes",
    "prospects:read prospects:write prospects:pii", "--password-stdin");
}, { timeout: 60_000 });

after(async () => {
  await it.browser?.close();
  await it.installation?.stop();
});

test("the tabs of one user share a connection; another user in the same browser has his own", { timeout: 90_000 }, async () => {
  const context = await it.browser.newContext();
  const [one, two] = [await openTab(context), await openTab(context)];
  await connections(1);
  await it.demo.create(person("Ada", "Shared", "ada"));
  for (const page of [one, two]) await row(page, "Ada Shared").waitFor(WITHIN);

  const other = await openTab(context, { user: "other", password: "another-password" });
  await connections(2);
  await lookAtTheSame(two, other, "Ada Shared");
  await other.close();
  await connections(1);

  await one.close();
  await it.demo.create(person("Ada", "Alone", "alone"));
  await row(two, "Ada Alone").waitFor(WITHIN);
  await connections(1);
  await context.close();
  await connections(0);
});

test("the page that the worker lives in crashes: the others make it anew and miss nothing", { timeout: 90_000 }, async () => {
  const context = await it.browser.newContext();
  const [one, two] = [await openTab(context), await openTab(context)];
  await connections(1);
  const devtools = await context.newCDPSession(one);
  devtools.send("Page.crash").catch(() => undefined); // never answered
  await connections(0);
  await it.demo.create(person("Ada", "Survives", "survives"));
  await two.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))); // somebody looks
  await row(two, "Ada Survives").waitFor(WITHIN);
  await connections(1);
  await context.close();
  await connections(0);
});

async function lookAtTheSame(mine, others, name) {
  const alsoHere = mine.getByTestId("presence");
  await row(mine, name).click();
  await mine.getByRole("dialog").waitFor(WITHIN);
  await row(others, name).click();
  await alsoHere.getByText("other", { exact: false }).waitFor(WITHIN);
  await others.getByTestId("presence").getByText("demo", { exact: false }).waitFor(WITHIN);
  await others.keyboard.press("Escape");
  await alsoHere.waitFor({ state: "detached", ...WITHIN });
  await mine.keyboard.press("Escape");
  await mine.getByRole("dialog").waitFor({ state: "detached", ...WITHIN });
}

test("where there is no SharedWorker, a tab has a connection of its own", { timeout: 60_000 }, async () => {
  const context = await it.browser.newContext();
  await context.addInitScript(() => delete window.SharedWorker);
  const pages = [await openTab(context), await openTab(context)];
  await connections(2);
  await it.demo.create(person("Ada", "Unshared", "unshared"));
  for (const page of pages) await row(page, "Ada Unshared").waitFor(WITHIN);
  await context.close();
  await connections(0);
});

test("the gateway dies: both tabs come back by themselves and show what they missed", { timeout: 90_000 }, async () => {
  const context = await it.browser.newContext();
  const pages = [await openTab(context), await openTab(context)];
  const { json } = await it.demo.post("/api/prospects", person("Ada", "Missed", "missed"));
  await it.installation.kill("gateway");
  await it.installation.run("gateway");
  for (const page of pages) {
    await isLive(page, { timeout: 40_000 });
    await row(page, "Ada Missed").waitFor(WITHIN);
  }
  await connections(1);
  assert.equal((await it.demo.outcome(json.commandId)).status, "succeeded");
  await context.close();
});

test("never overtaking: with the read model seconds behind, no row goes back and none is lost", { timeout: 240_000 }, async () => {
  const context = await it.browser.newContext();
  await context.addInitScript(watchRows);
  const pages = [await openTab(context), await openTab(context)];
  const asked = pages.map(listRequests);
  const ids = [];
  for (let i = 0; i < 4; i += 1) {
    const { subject } = await it.demo.create(person("Moving", "Step 0", `moving${i}`));
    ids.push(subject.split("/")[1]);
  }
  await row(pages[0], "Moving Step 0").nth(3).waitFor(WITHIN);
  asked.forEach((requests) => requests.splice(0));

  const slow = slowDown(it.installation.children.get("projection"));
  const changes = change(ids);
  await wander(pages[1]); // orders and searches that only the server can answer
  const last = await changes.end();
  for (const page of pages) await eventually("the last step of each", async () => (await row(page, `Moving Step ${last}`).count()) === 4, 30_000);
  await slow.end();

  for (const page of pages) {
    const { faults, looks, steps } = await page.evaluate(() => window.rows());
    assert.deepEqual(faults, []);
    assert.ok(looks > 10 && steps > 2, `${looks} looks at ${steps} steps`);
  }
  const without = asked.flat().filter((headers) => !(Number(headers["x-events-min-position"]) > 0));
  assert.deepEqual(without, [], "every list is asked for with the position that it must show");
  assert.ok(asked[1].length >= 4, "the second tab has asked the server");
  await context.close();
});

function person(firstName, lastName, mail) {
  return { firstName, lastName, email: `${mail}@example.org` };
}

async function openTab(context, { user = "demo", password = it.installation.password } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN.timeout);
  await signIn(page, { url: it.url, user, password });
  return page;
}

function row(page, text) {
  return page.locator("tr[data-prospect]", { hasText: text });
}

/** Waits until the gateway has exactly so many streams open. */
async function connections(count) {
  const streams = async () => {
    const { body } = await call(`http://${it.installation.admin.gateway}/metrics`);
    const loops = [...body.toString().matchAll(/^events_gateway_streams\{loop="\d+"\} (\d+)$/gm)];
    return loops.reduce((sum, [, open]) => sum + Number(open), 0);
  };
  await eventually(`${count} streams`, async () => (await streams()) === count, 20_000);
}

/** Runs in the page: looks at the rows after every change of the document, before anything is drawn. */
function watchRows() {
  const highest = new Map();
  const faults = [];
  const seen = new Set();
  let looks = 0;
  const look = () => {
    looks += 1;
    for (const element of document.querySelectorAll("tr[data-prospect]")) {
      const step = /Step (\d+)/.exec(element.querySelector(".row-title").textContent)?.[1];
      if (step === undefined) continue;
      const id = element.dataset.prospect;
      const before = highest.get(id) ?? -1;
      if (Number(step) < before) faults.push(`prospect ${id}: from ${before} back to ${step}`);
      highest.set(id, Math.max(before, Number(step)));
      seen.add(step);
    }
    if (document.querySelector("#list-title") === null || document.querySelector('input[type="search"]')?.value) return;
    const rows = new Set([...document.querySelectorAll("tr[data-prospect]")].map((element) => element.dataset.prospect));
    for (const id of highest.keys()) if (!rows.has(id)) faults.push(`prospect ${id} was lost`);
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  window.rows = () => ({ faults, looks, steps: seen.size });
}

function listRequests(page) {
  const requests = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() === "GET" && pathname === "/api/prospects") requests.push(request.headers());
  });
  return requests;
}

/** Stopped for three seconds, running for a moment, again and again: longer than a read waits for it (2 s). */
function slowDown(child) {
  return repeat(async () => {
    child.kill("SIGSTOP");
    await sleep(3000);
    child.kill("SIGCONT");
    await sleep(150);
  });
}

/** Each of them step by step, as fast as the commands are taken; ends with the number of the last step. */
function change(ids) {
  let step = 0;
  const running = repeat(async () => {
    step += 1;
    for (const [i, id] of ids.entries()) {
      const reply = await it.demo.send("PUT", `/api/prospects/${id}`, person("Moving", `Step ${step}`, `moving${i}`), { "if-match": "*" });
      assert.equal(reply.status, 202);
    }
    await sleep(250);
  });
  return { end: async () => (await running.end(), step) };
}

function repeat(work) {
  let running = true;
  const done = (async () => {
    while (running) await work();
  })();
  return { end: () => ((running = false), done) };
}

async function wander(page) {
  const shown = () => page.locator('table[data-outdated="false"]').waitFor({ timeout: 60_000 });
  for (const order of ["lastName", "-updatedAt", "email"]) {
    await page.getByLabel("Order").selectOption(order);
    await sleep(300);
    await shown();
    await sleep(700);
  }
  const search = page.getByLabel("Search prospects");
  await search.fill("moving");
  await sleep(500);
  await shown();
  await search.fill("");
  await sleep(500);
  await shown();
}
