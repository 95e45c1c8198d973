// Tokens as the gateway mints them, and wrong ones: ES256 with an installation's own key.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');

export function parse(token) {
  const [header, claims] = token.split('.').slice(0, 2).map((text) => JSON.parse(Buffer.from(text, 'base64url')));
  return { header, claims };
}

export function mint(header, claims, key) {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

export function unsigned(header, claims) {
  return `${part(header)}.${part(claims)}.`;
}

/** The key that signs the installation's tokens; its id is the file's name. */
export function signingKey(installation) {
  const folder = path.join(installation.home, 'keys');
  const file = readdirSync(folder).find((name) => name.endsWith('.pem'));
  return { kid: file.slice(0, -4), key: createPrivateKey(readFileSync(path.join(folder, file))) };
}

export function otherKey() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}
