// Work is announced by doorbells; polling only catches a lost one. So with an hour between two looks everything goes on
// at once all the same, and while nothing happens all sleep.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation, PROGRAMS } from './kit/installation.mjs';
import { SLOW, eventually, sleep } from './kit/wait.mjs';
import { EventSocket } from './kit/websocket.mjs';

const AT_ONCE = 10000 * SLOW; // the fall-back takes 3,600,000 ms
const it = {};
let n = 0;

before(async () => {
  it.installation = await Installation.start({ env: { EVENTS_POLL_SECONDS: '3600' } });
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

/** Sends a command; how long until its event is on the screen and its effect in the list. */
async function roundTrip(socket) {
  const begun = Date.now();
  const { json } = await it.demo.post('/api/prospects', { firstName: 'Ring', lastName: 'Bell', email: `bell-${++n}@example.org` });
  const event = await socket.event((e) => e.causationId === json.commandId);
  await eventually('the outcome', async () => (await it.demo.get(`/api/commands/${json.commandId}`)).json.status === 'succeeded');
  return { event, took: Date.now() - begun };
}

test('a command goes through at once, after any pause', async () => {
  const socket = await EventSocket.subscribe(it.demo);
  for (const pause of [0, 1200]) { // longer than any timer that follows work
    await sleep(pause);
    const { took } = await roundTrip(socket);
    assert.ok(took < AT_ONCE, `${took} ms after a pause of ${pause} ms`);
  }
  socket.close();
});

for (const program of PROGRAMS.filter((name) => name !== 'gateway'))
  test(`what was accepted while events-${program} was away goes on when it is back`, async () => {
    const socket = await EventSocket.subscribe(it.demo);
    await it.installation.kill(program);
    const { json } = await it.demo.post('/api/prospects', { firstName: 'Ring', lastName: 'Back', email: `back-${++n}@example.org` });
    await sleep(300);
    await it.installation.run(program);
    const begun = Date.now();
    await socket.event((e) => e.causationId === json.commandId);
    await eventually('the outcome', async () => (await it.demo.get(`/api/commands/${json.commandId}`)).json.status === 'succeeded', 20000);
    assert.ok(Date.now() - begun < AT_ONCE, `${Date.now() - begun} ms`);
    socket.close();
  });

/** How often a thread of each program has fallen asleep again, and so has been awake. */
function wakeUps() {
  return Object.fromEntries([...it.installation.children].map(([program, { pid }]) => [program, readdirSync(`/proc/${pid}/task`)
    .reduce((sum, task) => sum + Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))[1]), 0)]));
}

test('an idle installation sleeps', async () => {
  await sleep(2000 * SLOW); // what is stored in passing has been stored
  const before = wakeUps();
  await sleep(3000);
  const after = wakeUps();
  for (const program of PROGRAMS) assert.ok(after[program] - before[program] <= 2, `events-${program} woke ${after[program] - before[program]} times`);
});
