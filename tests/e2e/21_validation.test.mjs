// Every line of tests/data/validation.jsonl as a request: the errors must be exactly those that it names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from './kit/client.mjs';
import { Installation, ROOT } from './kit/installation.mjs';

const LINES = readFileSync(path.join(ROOT, 'tests/data/validation.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
const it = {};

before(async () => {
  it.installation = await Installation.start();
  it.demo = await Client.demo(it.installation);
});
after(() => it.installation?.stop());

test('there are 149 lines', () => assert.equal(LINES.length, 149));

for (const { name, body, base64, errors } of LINES) {
  test(name, async () => {
    const reply = await it.demo.post('/api/prospects', base64 === undefined ? body : Buffer.from(base64, 'base64'));
    if (!errors.length) {
      assert.equal(reply.status, 202, String(reply.body));
      return;
    }
    assert.equal(reply.status, 400, String(reply.body));
    assert.match(reply.headers['content-type'], /^application\/problem\+json/);
    const sorted = (list) => list.map(({ field, code }) => `${field}: ${code}`).sort();
    assert.deepEqual(sorted(reply.json.errors), sorted(errors));
    for (const error of reply.json.errors) assert.ok(error.message, 'a sentence for people');
  });
}
