// The documents as documents: valid for public validators, complete, and served as they should be.
import { Validator } from '@seriousme/openapi-schema-validator';
import asyncapiSpecs from '@asyncapi/specs';
import addFormats from 'ajv-formats';
import Ajv from 'ajv';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { call } from '../e2e/kit/client.mjs';
import { Contract } from './kit.mjs';

let it;
before(async () => { it = await Contract.start(); });
after(() => it?.stop());

const PATHS = ['/openapi.json', '/asyncapi.json', '/docs', '/docs.css', '/schemas/CloudEvent.json', '/schemas/Envelope.json'];

test('openapi.json is OpenAPI 3.1, and every reference resolves', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(it.openapi));
  assert.ok(valid, JSON.stringify(errors, null, 1));
  assert.equal(validator.version, '3.1');
  validator.resolveRefs();
  assertReferences(it.openapi);
});

test('asyncapi.json is AsyncAPI 3.0, and every reference resolves', () => {
  const schema = structuredClone(asyncapiSpecs.schemas['3.0.0']);
  delete schema.definitions['http://json-schema.org/draft-07/schema']; // ajv has its own
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const check = ajv.compile(schema);
  assert.ok(check(it.asyncapi), JSON.stringify(check.errors, null, 1));
  assertReferences(it.asyncapi);
});

/** Every local $ref leads somewhere. */
function assertReferences(document) {
  const visit = (value) => {
    if (typeof value !== 'object' || value === null) return;
    if (typeof value.$ref === 'string') {
      const parts = value.$ref.replace(/^#\//, '').split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
      assert.ok(parts.reduce((at, part) => at?.[part], document), `${value.$ref} leads nowhere`);
    }
    Object.values(value).forEach(visit);
  };
  visit(document);
}

test('operation ids are unique, and a path names the parameters that it has', () => {
  const ids = [];
  for (const [path, methods] of Object.entries(it.openapi.paths))
    for (const [method, operation] of Object.entries(methods)) {
      ids.push(operation.operationId);
      const named = operation.parameters.filter((p) => p.in === 'path').map((p) => p.name);
      assert.deepEqual(named, [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]), `${method} ${path}`);
      const keys = operation.parameters.map((p) => `${p.in} ${p.name}`);
      assert.equal(new Set(keys).size, keys.length, `${method} ${path}`);
    }
  assert.equal(new Set(ids).size, ids.length);
});

test('every command has a call, every event a message on its topic, and each a section of the page', async () => {
  const page = (await call(it.url + '/docs')).body.toString();
  for (const { name } of it.types.commands) assert.ok(it.openapi.paths[`/api/commands/${name}`]?.post, name);
  for (const { name } of it.types.events) assert.ok(it.asyncapi.channels['prospect-events'].messages[name], name);
  for (const { name, fields } of [...it.types.commands, ...it.types.events]) {
    const section = page.split(`<section class="message" id="${name}"`)[1]?.split('</section>')[0];
    assert.ok(section, name);
    for (const field of fields) assert.ok(section.includes(`<code>${field.name}</code>`), `${name}.${field.name}`);
    assert.equal(section.split('personal data').length - 1, fields.filter((f) => f.personal).length, name);
  }
});

test('the WebSocket is described in both directions', () => {
  const { operations } = it.asyncapi;
  const names = (operation) => operation.messages.map(({ $ref }) => $ref.split('/').at(-1));
  assert.deepEqual(names(operations['take-client-frames']), ['Subscribe', 'Unsubscribe', 'RefreshToken', 'Ping']);
  assert.ok(names(operations['send-server-frames']).includes('EventBatch'));
  assert.deepEqual([operations['take-client-frames'].action, operations['send-server-frames'].action], ['receive', 'send']);
});

test('documents need no token, have a strong ETag, and are compressed for who wants it', async () => {
  for (const path of PATHS) {
    const plain = await call(it.url + path);
    assert.equal(plain.status, 200, path);
    assert.match(plain.headers.etag, /^"[0-9a-f]+"$/, path);
    assert.ok(plain.headers.vary.includes('Accept-Encoding'), path);
    const again = await call(it.url + path, { headers: { 'if-none-match': plain.headers.etag } });
    assert.equal(again.status, 304, path);
    assert.equal(again.body.length, 0, path);
  }
  const page = await call(it.url + '/docs', { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(page.headers['content-encoding'], 'gzip');
  assert.notEqual(page.headers.etag, (await call(it.url + '/docs')).headers.etag);
  assert.equal(gunzipSync(page.body).toString(), (await call(it.url + '/docs')).body.toString());
  assert.equal((await call(it.url + '/schemas/Nothing.json')).status, 404);
  assert.equal((await call(it.url + '/openapi.json', { method: 'HEAD' })).status, 200);
  assert.equal((await call(it.url + '/openapi.json', { method: 'POST' })).status, 405);
});

test('the page keeps to its own content security policy', async () => {
  const { body, headers } = await call(it.url + '/docs');
  const page = body.toString();
  assert.match(headers['content-security-policy'], /default-src 'self'; style-src 'self'/);
  assert.doesNotMatch(page, /<script|<style|\sstyle=|\son\w+=|javascript:|https?:\/\//);
  const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map((m) => m[1]);
  assert.equal(new Set(ids).size, ids.length, 'ids are unique');
  for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.includes(target), `#${target}`);
});
