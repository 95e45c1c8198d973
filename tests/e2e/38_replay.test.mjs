// `eventsctl replay` on an installation that works: the read model is made anew from the log while commands keep coming,
// the programs notice nothing, and a run that is killed changes nothing.
import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { BUILD, Installation } from './kit/installation.mjs';
import { eventually, sleep } from './kit/wait.mjs';

const it = { made: 0 };

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

const sql = (text) => execFileSync('sqlite3', ['-cmd', '.timeout 10000', path.join(it.installation.home, 'db/read.db'), text], { encoding: 'utf8' }).trim();

async function create(count) {
  const one = (i) => it.demo.send('POST', '/api/prospects', { firstName: 'Re', lastName: `Play${i}`, email: `replay${i}@example.org` });
  for (let i = 0; i < count; i++) {
    assert.equal((await one(++it.made)).status, 202);
  }
}

/** Everything that a client can read, once `made` prospects are there. */
async function rows() {
  const list = await eventually('all rows', async () => {
    const rows = await it.demo.list();
    return rows.length === it.made && rows;
  }, 30000);
  return list.sort((a, b) => a.prospectId - b.prospectId);
}

const replay = (from = 0) => it.installation.ctl('replay', '--from', String(from), '--to', 'projection');

test('what is spoilt is mended, and nothing else changes', async () => {
  await create(60);
  const before = await rows();
  sql("UPDATE prospect_summary SET last_name = 'Wrong', search = ' wrong' WHERE prospect_id % 2 = 0; DELETE FROM prospect_summary WHERE prospect_id % 5 = 0");
  const { code, stdout, stderr } = await replay();
  assert.equal(code, 0, stderr);
  assert.match(stdout, /anew: 60 events up to 60 /);
  assert.deepEqual(await rows(), before);
  assert.equal((await it.demo.get('/api/prospects?query=wrong')).json.items.length, 0);
  const found = await it.demo.get('/api/prospects?query=play33%20RE%20example.org');
  assert.deepEqual(found.json.items.map((p) => p.lastName), ['Play33']);
});

test('commands keep coming meanwhile, and each is read once its position is reached', async () => {
  let ended = false;
  const runs = (async () => {
    for (let i = 0; i < 4; i++) {
      const { code, stderr } = await replay();
      assert.equal(code, 0, stderr);
    }
  })().finally(() => (ended = true));
  while (!ended) {
    const outcome = await it.demo.create({ firstName: 'Re', lastName: 'Live', email: `live${++it.made}@example.org` });
    assert.equal((await it.demo.get(`/api/${outcome.subject.replace('prospect/', 'prospects/')}`)).status, 200, 'reads show the change');
  }
  await runs;
  assert.equal(new Set((await rows()).map((p) => p.email)).size, it.made);
  assert.equal(sql('SELECT count(*) FROM event_dead_letter'), '0');
});

test('killed at any time, it has changed nothing, and the next run is a whole one', async () => {
  const before = await rows();
  for (let i = 0; i < 5; i++) {
    const child = spawn(path.join(BUILD, 'eventsctl'), ['replay', '--from', '0', '--to', 'projection'], { env: it.installation.env, stdio: 'ignore' });
    const exited = new Promise((done) => child.on('exit', done));
    await sleep(5 + 12 * i);
    child.kill('SIGKILL');
    await exited;
    assert.deepEqual(await rows(), before);
  }
  await create(3);
  const now = await rows();
  assert.equal((await replay()).code, 0);
  assert.deepEqual(await rows(), now);
  assert.equal((await replay(now.length)).code, 0);
  assert.deepEqual(await rows(), now);
});

test('what it does not know it says', async () => {
  for (const [args, words] of [
    [['--from', '0'], /--to can only be projection/],
    [['--from', 'x', '--to', 'projection'], /--from is a number/],
    [['--from', '9999', '--to', 'projection'], /the log ends at/],
  ]) {
    const { code, stderr } = await it.installation.ctl('replay', ...args);
    assert.equal(code, 64);
    assert.match(stderr, words);
  }
});
